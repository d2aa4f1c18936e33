//! The queue between those who end spans and the thread that exports them.
//!
//! Bounded: whoever ends a span never waits. What does not fit is dropped and counted, and so is what the endpoint does
//! not take.

use std::{
    fmt,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};

/// How many ended spans may wait: some 2 MB.
const WAITING: usize = 2_048;
/// How many spans one export has at most.
const AT_ONCE: usize = 512;
/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);

enum Message {
    Ended(Box<SpanData>),
    Resource(Resource),
    /// Export what waits, and say so.
    Flush(SyncSender<()>),
}

/// Takes ended spans and exports them on a thread of its own.
pub(super) struct Queue(SyncSender<Message>);

impl Queue {
    /// Starts the thread; it ends when the queue is dropped.
    pub(super) fn start(exporter: impl SpanExporter + 'static) -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(WAITING);
        thread::Builder::new()
            .name("spans".to_owned())
            .spawn(move || work(exporter, &receiver))?;
        Ok(Self(sender))
    }

    fn flush(&self, within: Duration) -> OTelSdkResult {
        let timed_out = || OTelSdkError::Timeout(within);
        let until = Instant::now() + within;
        let (done, flushed) = mpsc::sync_channel(1);
        let mut message = Message::Flush(done);
        // A full queue has room again as soon as an export is over.
        while let Err(full) = self.0.try_send(message) {
            let TrySendError::Full(back) = full else {
                return Err(OTelSdkError::AlreadyShutdown);
            };
            if Instant::now() >= until {
                return Err(timed_out());
            }
            message = back;
            thread::sleep(Duration::from_millis(10));
        }
        let left = until.saturating_duration_since(Instant::now());
        flushed.recv_timeout(left).map_err(|_| timed_out())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled()
            && self.0.try_send(Message::Ended(Box::new(span))).is_err()
        {
            observe::SPANS_LOST.add(1, [&"queue-full"]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(Duration::from_secs(5))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // The first message of all: there is room.
        let _ = self.0.try_send(Message::Resource(resource.clone()));
    }
}

fn work(mut exporter: impl SpanExporter, messages: &Receiver<Message>) {
    let mut batch: Vec<SpanData> = Vec::new();
    let mut since = Instant::now();
    loop {
        let wait = if batch.is_empty() {
            Duration::MAX
        } else {
            GATHER.saturating_sub(since.elapsed())
        };
        let message = if wait == Duration::MAX {
            messages.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            messages.recv_timeout(wait)
        };
        match message {
            Ok(Message::Ended(span)) => {
                if batch.is_empty() {
                    since = Instant::now();
                }
                batch.push(*span);
                if batch.len() >= AT_ONCE {
                    export(&exporter, &mut batch);
                }
            }
            Ok(Message::Resource(resource)) => exporter.set_resource(&resource),
            Ok(Message::Flush(done)) => {
                export(&exporter, &mut batch);
                let _ = done.send(());
            }
            Err(RecvTimeoutError::Timeout) => export(&exporter, &mut batch),
            Err(RecvTimeoutError::Disconnected) => return export(&exporter, &mut batch),
        }
    }
}

fn export(exporter: &impl SpanExporter, batch: &mut Vec<SpanData>) {
    let spans = std::mem::take(batch);
    let count = spans.len() as u64;
    if count > 0 && block_on(exporter.export(spans)).is_err() {
        observe::SPANS_LOST.add(count, [&"export-failed"]);
    }
}
