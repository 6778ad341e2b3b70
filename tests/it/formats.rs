//! What each format makes of every title, of cut and broken records, of hostile names and values: the golden files, and decoders
//! that are not the writers.
//!
//! `GOSTECH_WRITE_DOCUMENTS=1` writes the golden files anew. Refuses: to look into a format.

mod decode;
mod golden;
mod samples;
