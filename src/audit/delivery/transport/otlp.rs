//! Events as OpenTelemetry logs: OTLP over HTTP in JSON.
//!
//! A collector may take a part of a request and say how many it has refused, but not which (`partialSuccess`). Then the request is
//! halved until the bad one stands alone, as after a 400: those that were taken come twice, under the same `log.record.uid`.
//! Refuses: to call a record delivered that the collector says it has refused.

use super::http::{self, Api};
use super::route::Route;
use super::row::Transport;
use crate::audit::delivery::parcel::{Blame, Delivery, Parcel, Said, Sink, Why};
use crate::error::Result;
use crate::flags::text;
use crate::limits;
use crate::net::answer::{excerpt, Answer};
use crate::net::failure::FailureKind;
use crate::net::target::{Scheme, Shape};
use serde_json::Value;

/// `otlp+http://`
pub const PLAIN: Transport = Transport {
    scheme: &Scheme { name: "otlp+http", shape: Shape::Host { port: 4318 }, tls: false },
    url: "otlp+http://HOST[:PORT]",
    about: text("OpenTelemetry logs (OTLP, JSON)", "журналы OpenTelemetry (OTLP, JSON)"),
    formats: &["otlp"],
    open,
    ..http::PLAIN
};

/// `otlp+https://`
pub const TLS: Transport = Transport {
    scheme: &Scheme { name: "otlp+https", shape: Shape::Host { port: 4318 }, tls: true },
    url: "otlp+https://HOST[:PORT]",
    about: text("OpenTelemetry logs over TLS", "журналы OpenTelemetry поверх TLS"),
    ..PLAIN
};

const API: Api = Api { answer_bytes: limits::HTTP_ANSWER_BYTES, taken, ..http::WHOLE };

fn open(route: &Route) -> Result<Box<dyn Sink>> {
    http::open_api(route, http::uri_or(route, "/v1/logs"), &API)
}

fn taken(parcel: &Parcel<'_>, answer: Answer) -> Delivery {
    let none = |why, text| Delivery::none(why, Said { status: None, text });
    match refused(&answer.body) {
        Ok(None) => (http::NO_PAGE.taken)(parcel, answer),
        Ok(Some((n, why))) => {
            none(Why::Content(Blame::NeedsWitness), format!("has refused {n} of {} records: {why}", parcel.len()))
        }
        // A longer one than is read is about refused records: of fewer of them there is less to say.
        Err(_) if answer.body.len() >= limits::HTTP_ANSWER_BYTES => {
            none(Why::Content(Blame::NeedsWitness), "its answer is too long to be read whole".to_string())
        }
        Err(e) => none(Why::Unanswered(FailureKind::Protocol), format!("its answer is no whole JSON: {e}")),
    }
}

/// How many records an answer says were refused, and why; none: it says nothing of that. An error: it is cut, or no JSON though
/// it begins as such, and may have said so.
fn refused(body: &[u8]) -> serde_json::Result<Option<(u64, String)>> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Ok(None);
    }
    Ok(refused_part(&serde_json::from_slice(body)?))
}

fn refused_part(answer: &Value) -> Option<(u64, String)> {
    // This JSON may have the names of protobuf as well.
    let either = |of: &'_ Value, names: [&str; 2]| names.iter().find_map(|name| of.get(name).cloned());
    let partial = either(answer, ["partialSuccess", "partial_success"])?;
    // A 64-bit number is a text in it.
    let n = either(&partial, ["rejectedLogRecords", "rejected_log_records"])?;
    let n = n.as_u64().or_else(|| n.as_str()?.parse().ok()).filter(|n| *n > 0)?;
    let why = either(&partial, ["errorMessage", "error_message"]);
    Some((n, excerpt(why.as_ref().and_then(Value::as_str).unwrap_or_default().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Lines;
    use super::*;

    #[test]
    fn a_part_that_is_refused_is_seen() {
        let says = |body: &str| refused(body.as_bytes()).expect("whole");
        for none in [
            "",
            "{}",
            "x",
            r#"{"partialSuccess":{}}"#,
            r#"{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"mind"}}"#,
        ] {
            assert_eq!(says(none), None, "{none}");
        }
        let some = Some((3, "too old".to_string()));
        assert_eq!(says(r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too\nold"}}"#), some);
        assert_eq!(says(r#"{"partialSuccess":{"rejectedLogRecords":3,"errorMessage":"too old"}}"#), some);
        assert_eq!(says(r#"{"partial_success":{"rejected_log_records":3,"error_message":"too old"}}"#), some);
    }

    #[test]
    fn an_answer_that_is_not_whole_takes_nothing() {
        let of = |body: &[u8]| {
            let lines = Lines::of(0..2, 1);
            taken(
                &lines.parcel(),
                Answer { status: 200, retry_after: None, excerpt: String::new(), body: body.to_vec() },
            )
        };
        let long = "x".repeat(2 * limits::HTTP_ANSWER_BYTES);
        let text = format!(r#"{{"partialSuccess":{{"rejectedLogRecords":"2","errorMessage":"{long}"}}}}"#);
        let stop = of(&text.as_bytes()[..limits::HTTP_ANSWER_BYTES]).stop.expect("a stop");
        assert_eq!(stop.why, Why::Content(Blame::NeedsWitness));
        for n in 1..100 {
            let stop = of(&text.as_bytes()[..n]).stop.expect("a stop");
            assert_eq!(stop.why, Why::Unanswered(FailureKind::Protocol), "{n}");
        }
        assert_eq!(of(b"").taken, 2);
    }
}
