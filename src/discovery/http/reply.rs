//! What a server of ours answers: a status, a kind, a text that is made for this one question.
//!
//! Invariant: no answer may be kept for later; a list or a state of yesterday is worse than none.
//!
//! Not here: which question has which answer.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// An answer for people.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    typed(status, "text/plain; charset=utf-8", body)
}

/// An answer of some kind.
pub fn typed(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a question that is put in the wrong way; `paths` says what there is.
pub fn wrong_method(allowed: &'static str, paths: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, paths);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    refusal
}
