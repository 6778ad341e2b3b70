//! Ten thousand servers that are not what they should be, each with its verdict: a trouble with its reason and its words, or
//! exactly the numbers that are right; in bounded time and memory.
//!
//! `SEED=` replays from there.

use super::helper::{figure, Samples};
use super::villain::{play, shown, Plan, Verdict, Villain, Whole};
use crate::lab::Row;
use gostech::iproto::auth::Method;
use gostech::iproto::Trouble;
use gostech::metrics::asker::{Address, Asker, Found};
use gostech::metrics::login::Login;
use gostech::metrics::source::Wishes;
use gostech::net::dial::Dial;
use gostech::net::secret::Secret;
use gostech::net::target::Place;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// One poll of a server at this port.
fn poll(plan: Plan, port: u16, patience: Duration) -> Result<Found, Trouble> {
    let login = Login::new(plan.user(), Secret::literal("x"), Some(Method::ChapSha1));
    let functions = vec!["mon.metrics".to_string()];
    // `least` is what anyone gets who names nothing.
    let grade = (plan != Plan::Least).then(|| plan.grade());
    let wishes = Wishes { user: plan.user().into(), grade, functions: functions.clone(), ..Wishes::default() };
    let wishes = if plan == Plan::Least { Wishes { functions: Vec::new(), ..wishes } } else { wishes };
    let dial = Dial::new(Place::Net { host: "127.0.0.1".into(), port });
    Asker::new(Address { dial, patience }, login, wishes).poll()
}

/// The next villain that a listener plays; none: a server without fault.
type Cast = Arc<Mutex<Option<Arc<Villain>>>>;

fn stage() -> (u16, Cast) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let cast = Cast::default();
    let now = cast.clone();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let villain = now.lock().unwrap().clone();
            std::thread::spawn(move || play(socket, villain.as_deref()));
        }
    });
    (port, cast)
}

/// What a verdict is called in the count.
fn kind(verdict: &Verdict) -> String {
    match verdict {
        Verdict::No(reason, _) => reason.name().to_string(),
        Verdict::Numbers(grade, _) => format!("numbers of {}", grade.name()),
    }
}

fn judge(seed: u64, villain: &Villain, got: Result<Found, Trouble>) {
    let evil: String = format!("{:?}", villain.evil).chars().take(300).collect();
    let who = format!("SEED={seed}: {evil} at frame {} of {:?}", villain.at, villain.plan);
    match (&villain.verdict, got) {
        (Verdict::No(reason, words), Err(trouble)) => {
            assert_eq!(trouble.reason, *reason, "{who}: {trouble}");
            assert!(trouble.text.contains(words) && trouble.text.len() < 2_000, "{who}: {trouble}");
        }
        (Verdict::Numbers(grade, numbers), Ok(found)) => {
            assert_eq!((found.grade, &shown(&found.page.snapshot)), (*grade, numbers), "{who}");
        }
        (verdict, Ok(found)) => panic!("{who}: {verdict:?}, but it was taken for {:?}", shown(&found.page.snapshot)),
        (verdict, Err(trouble)) => panic!("{who}: {verdict:?}, but it was {trouble:?}"),
    }
}

/// Runs a test again in a process of its own, where the memory measured is its own; true when that was done.
fn alone(test: &str) -> bool {
    if std::env::var_os("GOSTECH_ALONE").is_some() {
        return false;
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("this test binary"));
    command.env("GOSTECH_ALONE", "1");
    crate::harness::den::run_again(command, test);
    true
}

/// What servers without fault give.
fn whole() -> Whole {
    let (port, _cast) = stage();
    let plans = [Plan::Least, Plan::Full, Plan::Function, Plan::Tarantool];
    let pages: Vec<(Plan, Samples)> = plans
        .into_iter()
        .map(|plan| {
            let found = poll(plan, port, Duration::from_secs(20)).unwrap_or_else(|t| panic!("{plan:?}: {t}"));
            assert_eq!(found.grade, plan.grade());
            (plan, shown(&found.page.snapshot))
        })
        .collect();
    assert!(pages[0].1.len() > 20 && pages.iter().all(|(_, p)| p.len() >= 2), "{pages:?}");
    let named = "pico_raft_term{instance_name=\"default_1_1\"}";
    assert!(pages[0].1.contains_key(named), "{:?}", pages[0].1);
    Whole { of: Box::new(move |plan| pages.iter().find(|(p, _)| *p == plan).expect("all plans").1.clone()) }
}

#[test]
fn ten_thousand_hostile_servers() {
    if alone("metrics::hostile::ten_thousand_hostile_servers") {
        return;
    }
    let first: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let whole = whole();
    let before = figure(std::process::id(), "VmRSS");
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let counts: Mutex<BTreeMap<String, u64>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (port, cast) = stage();
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= first + 10_000 {
                        return;
                    }
                    let villain = Arc::new(Villain::of(seed, &whole));
                    *cast.lock().unwrap() = Some(villain.clone());
                    // Whoever is not to be too slow has all the time that a busy machine takes.
                    let patience = Duration::from_millis(if villain.slow() { 40 } else { 20_000 });
                    judge(seed, &villain, poll(villain.plan, port, patience));
                    *counts.lock().unwrap().entry(kind(&villain.verdict)).or_default() += 1;
                }
            });
        }
    });
    let grown = figure(std::process::id(), "VmHWM").saturating_sub(before);
    let counts = counts.into_inner().unwrap();
    eprintln!("10000 hostile servers, each as it had to be, in {:?}, memory +{grown} KiB: {counts:?}", begun.elapsed());
    assert!(counts.len() >= 9 && counts.values().sum::<u64>() == 10_000, "{counts:?}");
    assert!(grown < 160 * 1024, "{grown} KiB");
    let class = "hostile databases, each with its verdict";
    Row { class, injected: 10_000, survived: 10_000, records: 10_000, lost: 0, repeated: 0, begin: begun }.say();
}
