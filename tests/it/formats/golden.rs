//! The golden files: one for each row of the table of formats, so that no format is without one.

use super::samples::{samples, written};
use gostech::audit::delivery::format::FORMATS;
use gostech::audit::delivery::frame::Frame;

#[test]
fn every_format_writes_what_its_golden_file_says() {
    let mut wrong = Vec::new();
    for format in FORMATS {
        // What is told apart by lengths may have newlines in it, and any bytes.
        let line = |bytes: Vec<u8>| match format.frame {
            Frame::Bare => bytes.escape_ascii().to_string(),
            _ => String::from_utf8(bytes).expect("UTF-8"),
        };
        let lines: Vec<String> = samples().iter().map(|s| line(written(format, s).0)).collect();
        assert!(lines.iter().all(|l| !l.contains('\n')), "{}: an event is one line", format.name);
        let text = lines.join("\n") + "\n";
        let path = format!("{}/tests/data/formats/{}.txt", env!("CARGO_MANIFEST_DIR"), format.name);
        if std::env::var_os("GOSTECH_WRITE_DOCUMENTS").is_some() {
            std::fs::write(&path, &text).expect("a golden file");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        for (n, (is, was)) in text.lines().zip(golden.lines()).enumerate() {
            if is != was && wrong.len() < 5 {
                wrong.push(format!("{} line {}:\n  {is}\ninstead of\n  {was}", format.name, n + 1));
            }
        }
        if text.lines().count() != golden.lines().count() {
            wrong.push(format!("{}: another number of lines than {path}", format.name));
        }
    }
    assert!(wrong.is_empty(), "{}\n(GOSTECH_WRITE_DOCUMENTS=1 writes them anew)", wrong.join("\n"));
}
