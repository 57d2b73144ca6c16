use super::super::connection::Connection;
use super::super::handler::{Handler, Request};
use super::super::reply::date;
use super::super::request::RequestExt;
use super::super::response::Response;
use crate::park::Turns;
use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Handler that writes a line for each request.
///
/// Made by [`Handler::log`]. The line is written in one piece when the handler within has returned:
///
/// ```text
/// 192.0.2.7 [Sun, 06 Nov 1994 08:49:37 GMT] "GET /tea?milk=no HTTP/1.1" 200 1432 0.000217
/// ```
///
/// the client's address or `-`, the time, the request line, the status, the bytes of the body, and the seconds that the handler took.
/// In place of the status of a handler that has failed stands `-`, and the error comes last. A log that
/// cannot be written is no reason to fail: its errors are dropped.
pub struct AccessLog<H, W> {
    inner: H,
    /// Who writes has his turn by `turns`: a task that waited for the lock would stop its worker.
    writer: Mutex<W>,
    turns: Turns,
}

impl<H, W: Write> AccessLog<H, W> {
    /// `inner`, with a line for each request to `writer`.
    pub fn new(inner: H, writer: W) -> Self {
        Self { inner, writer: Mutex::new(writer), turns: Turns::new() }
    }

    fn write(&self, line: &str) {
        let Ok(_turn) = self.turns.enter(|| Ok(None)) else { return };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
    }
}

impl<H: Handler, W: Write> Handler for AccessLog<H, W> {
    fn serve(&self, request: &mut Request<'_>, response: &mut Response<'_>) -> io::Result<()> {
        let began = Instant::now();
        let what = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        let run = || self.inner.serve(request, response);
        let result = catch_unwind(AssertUnwindSafe(run));
        let took = began.elapsed().as_secs_f64();
        let now = date(SystemTime::now());
        let now = String::from_utf8_lossy(&now);
        let bytes = response.written();
        let (status, why) = match &result {
            Ok(Ok(())) => (response.status().as_u16().to_string(), String::new()),
            Ok(Err(error)) => ("-".into(), format!(" {}", error.to_string().escape_debug())),
            Err(_) => ("-".into(), " panicked".into()),
        };
        let peer = request.connection().and_then(Connection::peer_addr);
        let peer = peer.map_or_else(|| "-".into(), |peer| peer.ip().to_string());
        self.write(&format!("{peer} [{now}] \"{what}\" {status} {bytes} {took:.6}{why}\n"));
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<H: fmt::Debug, W> fmt::Debug for AccessLog<H, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("inner", &self.inner).finish_non_exhaustive()
    }
}
