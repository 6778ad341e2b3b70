//! `--check` of the outlets: each gets the page of now once, as it would get it later.
//!
//! Refuses: to write a file, which would be that of whoever checks, and to standard output, where the report goes.

use super::numbers::Shot;
use super::push::of;
use super::push::row::Plan;
use crate::net::target::Place;
use std::time::Instant;

/// The report on the outlets, and whether all of them have taken the page.
pub fn report(plan: &Plan, shot: &Shot) -> (String, bool) {
    let (mut out, mut good) = (String::new(), true);
    for (name, route) in &plan.routes {
        if matches!(route.to.target.place(), Place::Path { .. } | Place::Nowhere) {
            out.push_str(&format!("outlet    {name}: not tried\n"));
            continue;
        }
        let opened = (of(&route.to.target).open)(route).map_err(|e| e.text().to_string());
        let deadline = Instant::now() + plan.deadline;
        match opened.and_then(|mut outlet| outlet.push(&shot.page(&[]), deadline).map_err(|t| t.text)) {
            Ok(written) => {
                let left_out = written.not_finite + written.collisions + written.refused;
                let samples = written.samples;
                out.push_str(&format!("outlet    {name}: {samples} numbers have gone, {left_out} were left out\n"));
            }
            Err(why) => {
                out.push_str(&format!("fault     outlet {name}: {why}\n"));
                good = false;
            }
        }
    }
    (out, good)
}
