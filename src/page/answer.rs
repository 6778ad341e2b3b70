//! ○ The status page as an answer: which language and which refresh were asked for, and the headers that keep it harmless.
//!
//! Refuses: a script, a style that is not ours, anything from elsewhere.

use super::{html, Lang, Sheet};
use crate::limits;
use crate::net::page::{Page, PageRequest};

/// SHA-256 of `style.css`, as the policy names it; a test compares.
const STYLE_HASH: &str = "+8pD6KoVhu0jFHIUSELeFys6Y/dLz+GEfV0cHBetuaQ=";

/// The language that is asked for.
pub fn lang(request: &PageRequest) -> Lang {
    Lang::wanted(request.header("accept-language").unwrap_or_default())
}

/// Seconds after which the reader's program is to ask again, if it is asked to.
fn refresh(request: &PageRequest) -> Option<u32> {
    let asked: u32 = request.arguments("refresh").pop()?.parse().ok()?;
    (asked > 0).then(|| asked.min(limits::PAGE_REFRESH_SECONDS))
}

/// The page.
pub fn page(request: &PageRequest, sheet: &Sheet) -> Page {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{STYLE_HASH}'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Page::html(200, html::draw(sheet, refresh(request)))
        .with("Content-Security-Policy", &policy)
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("Cache-Control", "no-store")
        .with("Content-Language", sheet.lang.tag())
        .with("Vary", "Accept-Language")
}
