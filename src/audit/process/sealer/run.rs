//! The sealer's thread. Refuses: to end because it has nothing to do, to hold anybody up.

use super::{Now, Rest, Sealer};
use crate::audit::intake::reader::Cushion;
use crate::audit::process::run_state::RunState;
use crate::audit::spool::Spool;
use crate::limits;
use crate::sys::clock::wall_ms;
use std::time::{Duration, Instant};

/// Seals until no more records come.
pub fn run(mut sealer: Sealer, spool: &Spool, cushion: &Cushion, run_state: &RunState) {
    let begin = Instant::now();
    while !run_state.is_over() && !spool.ended() {
        match sealer.step(Now { mono: begin.elapsed(), wall_ms: wall_ms() }) {
            Rest::Not => {}
            Rest::Post => {
                cushion.filled.ring();
                spool.wait_post(Duration::from_millis(limits::TEND_MILLIS));
            }
            Rest::News(number, patience) => spool.wait_news(number, patience),
            Rest::Sleep(patience) => {
                let ends = spool.closing();
                if ends && spool.durable_before() < spool.next_seq() {
                    // At the end nobody is to wait for the next round of the tender.
                    spool.sync(wall_ms());
                }
                run_state.sleep(if ends { patience / 10 } else { patience });
            }
        }
    }
}
