//! A client for enrolment endpoints: HTTPS with explicit roots, bounded answers and bounded time.
//!
//! System roots, proxies, redirects and retries are switched off. It blocks: one request at a time.

mod client;
mod trust;

pub use client::{Answer, Client, ClientOptions, HttpsError, Request};
pub use trust::{ClientCertificate, Trust};
