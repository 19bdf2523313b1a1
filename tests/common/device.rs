//! The device under test.

use std::sync::OnceLock;

use qembed::{Error, Session};

/// The device under test, one for the whole binary.
///
/// Where there is none the test is skipped and says so; `QEMBED_REQUIRE_GPU=1` makes that a failure.
pub fn gpu() -> Option<&'static Session> {
    static SESSION: OnceLock<Option<Session>> = OnceLock::new();
    let session = SESSION.get_or_init(|| match Session::new() {
        Ok(session) => Some(session),
        Err(Error::NoAdapter { .. }) => None,
        Err(error) => panic!("an adapter was found but cannot be used: {error}"),
    });
    if session.is_none() {
        let required = std::env::var("QEMBED_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "QEMBED_REQUIRE_GPU=1, but there is no adapter");
        eprintln!("SKIPPED: no adapter");
    }
    session.as_ref()
}
