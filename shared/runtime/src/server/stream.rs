//! A connection's bytes, with a deadline on everything that a client could make the server wait for.
//!
//! What has no deadline here has one elsewhere: bodies in [`crate::limit`], idle connections in
//! [`super::connection`], a half-sent head on a running HTTP/2 connection by the pings, which cannot be answered
//! in the middle of a head.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use crate::limit::Limits;

/// What a connection's service knows and its stream has to know, and the other way round.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Whole heads so far.
    pub(super) heads: AtomicU64,
    /// Requests that are being answered.
    pub(super) active: AtomicU32,
    /// Whether it turned out to be HTTP/2.
    pub(super) http2: AtomicBool,
    /// Whether a head has begun that is not whole yet.
    pub(super) half_head: AtomicBool,
}

/// A stream that fails with `TimedOut` when the client keeps it waiting.
pub(super) struct Watched<S> {
    inner: S,
    limits: Arc<Limits>,
    activity: Arc<Activity>,
    /// Since when a head has been due; at first since the connection was accepted.
    head_since: Option<Instant>,
    /// Heads that `head_since` has taken note of.
    heads: u64,
    write_since: Option<Instant>,
    linger_since: Option<Instant>,
    /// The client has closed its side.
    ended: bool,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S, limits: Arc<Limits>, activity: Arc<Activity>) -> Self {
        Self {
            inner,
            limits,
            activity,
            head_since: Some(Instant::now()),
            heads: 0,
            write_since: None,
            linger_since: None,
            ended: false,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
        }
    }

    /// Forgets what was due if a head has become whole since the last look.
    fn note_heads(&mut self) {
        let heads = self.activity.heads.load(Relaxed);
        if heads != self.heads {
            self.heads = heads;
            self.head_since = None;
            self.activity.half_head.store(false, Relaxed);
        }
    }

    /// Bytes that come while nothing is being answered begin a head.
    fn note_bytes(&mut self) {
        let activity = &self.activity;
        if activity.http2.load(Relaxed) || activity.active.load(Relaxed) > 0 {
            return;
        }
        activity.half_head.store(true, Relaxed);
        self.head_since.get_or_insert_with(Instant::now);
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let since = *self.write_since.get_or_insert_with(Instant::now);
        ready!(self.write_alarm.poll(since + self.limits.write, cx));
        Poll::Ready(late("the client takes no more of the answer"))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.note_heads();
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, buf) {
            if buf.filled().len() > before {
                this.note_bytes();
            } else {
                this.ended = true;
            }
            return Poll::Ready(read);
        }
        let Some(since) = this.head_since else {
            return Poll::Pending;
        };
        ready!(this.read_alarm.poll(since + this.limits.head, cx));
        Poll::Ready(Err(late("no whole request head came in time")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.inner).poll_write(cx, buf) {
            this.write_since = None;
            return Poll::Ready(written);
        }
        this.poll_stalled(cx).map(Err)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs) {
            this.write_since = None;
            return Poll::Ready(written);
        }
        this.poll_stalled(cx).map(Err)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Poll::Ready(flushed) = Pin::new(&mut this.inner).poll_flush(cx) {
            return Poll::Ready(flushed);
        }
        this.poll_stalled(cx).map(Err)
    }

    /// Closes the server's side, then listens for a while. Closing while bytes arrive makes the kernel send a reset,
    /// which can destroy the answer (413, for one) before the client has read it (RFC 9112 section 9.6).
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger_since.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
        }
        let since = *this.linger_since.get_or_insert_with(Instant::now);
        while !this.ended {
            let mut room = [0; 4096];
            let mut thrown_away = ReadBuf::new(&mut room);
            let Poll::Ready(read) = Pin::new(&mut this.inner).poll_read(cx, &mut thrown_away)
            else {
                ready!(this.read_alarm.poll(since + this.limits.linger, cx));
                break;
            };
            let more = read.is_ok() && !thrown_away.filled().is_empty();
            this.ended = !more || since.elapsed() >= this.limits.linger;
        }
        Poll::Ready(Ok(()))
    }
}

/// A timer that exists from the first time that it is needed.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn poll(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}

fn late(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}
