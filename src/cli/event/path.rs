//! Path: how an event tells one.
//!
//! JSON is text, and a path is bytes. Most are text as well; of the others the bytes stand beside what can be read.
//!
//! Invariant: no two paths are told alike.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A path, without loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPath {
    /// The path. When `hex` is there, bytes that are not UTF-8 are shown as `\xNN`, which is for reading only.
    pub path: String,
    /// The bytes of a path that is not UTF-8, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
}

impl From<&Path> for EventPath {
    fn from(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Self { path: text.to_owned(), hex: None };
        }
        let mut shown = String::new();
        for part in bytes.utf8_chunks() {
            shown.push_str(part.valid());
            shown.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
        }
        Self { path: shown, hex: Some(data_encoding::HEXLOWER.encode(bytes)) }
    }
}
