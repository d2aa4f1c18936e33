//! The same app under the Lambda Runtime API.
//!
//! An invocation is one of three things ([`event`]): a request of the gateway, messages of a queue, or a timer. Each becomes
//! the request that Knative would send, so that a function never knows where it runs. Anything else fails the invocation.
//!
//! **Private routes.** What the gateway sends never reaches `/events/` and `/timers/`, whatever routes it was given.
//!
//! **Time.** An invocation that runs out of time is killed without a word; here it is given up shortly before that, so that
//! the client gets a problem document and only those messages come again that were not done.
//!
//! **Freeze.** Nothing runs between two invocations. What is to be exported is exported after the answer and before the next
//! invocation is asked for; the end of a process is not told, and nothing waits for it.

mod event;
mod gateway;
mod queue;

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Method, Uri, Version},
    response::Response,
};
use domain::Clock;
use lambda_http::lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tower::util::ThenLayer;

use crate::{
    app::{self, App},
    clock,
    problem::{Code, Problem},
    telemetry,
};
use event::Event;

/// How long before its end an invocation is given up.
const MARGIN: Duration = Duration::from_millis(300);
/// The most that Lambda gives an invocation. A deadline further away, or past, is another clock's.
const LONGEST: Duration = Duration::from_mins(15);
/// The paths of the inside.
const PRIVATE: [&str; 2] = ["/events/", "/timers/"];
/// The path of each timer begins so.
const TIMERS: &str = "/timers/";

/// Serves `router` until Lambda ends the process. Messages of a queue go to `events`.
pub(crate) async fn serve(router: Router, events: Option<&'static str>) -> anyhow::Result<()> {
    let function = Arc::new(Function {
        app: app::app(router),
        events,
        clock: clock::system(),
    });
    let handler = service_fn(move |invocation: LambdaEvent<Value>| {
        let function = Arc::clone(&function);
        async move {
            function
                .invoke(invocation.payload, &invocation.context)
                .await
        }
    });
    // Behind the answer and before the next invocation is asked for: the client does not wait for it.
    let flush = ThenLayer::new(async |answered| {
        telemetry::flush().await;
        answered
    });
    let served = Runtime::new(handler).layer(flush).run().await;
    telemetry::stop().await;
    served.map_err(|error| anyhow!(error))
}

/// What answers invocations.
struct Function {
    app: App,
    events: Option<&'static str>,
    clock: Clock,
}

/// Why an invocation fails. Lambda shows the type and the text to operators.
type Failure = Diagnostic;

fn failure(error_type: &str, error_message: impl Into<String>) -> Failure {
    Diagnostic {
        error_type: error_type.to_owned(),
        error_message: error_message.into(),
    }
}

impl Function {
    async fn invoke(&self, payload: Value, context: &Context) -> Result<Value, Failure> {
        let within = self.time_left(context);
        let event =
            Event::read(payload).map_err(|error| failure("UnknownEvent", error.to_string()))?;
        match event {
            Event::Request(event) => {
                let response = match gateway::request(*event) {
                    Ok(request) => self.answer_public(request, within).await,
                    Err(problem) => app::finished(problem),
                };
                gateway::answer(response).await
            }
            Event::Messages(messages) => {
                let events = self.events.ok_or_else(|| {
                    failure("UnknownEvent", "this function takes no messages of a queue")
                })?;
                let failed = queue::deliver(&messages, async |message| {
                    let delivered = self.answer(queue::request(message, events), within).await;
                    queue::is_done(message, &delivered)
                });
                Ok(queue::answer(&failed.await))
            }
            Event::Timer(path) => self.run_timer(&path, within).await,
        }
    }

    async fn run_timer(&self, path: &str, within: Duration) -> Result<Value, Failure> {
        let uri = path
            .parse::<Uri>()
            .ok()
            .filter(|uri| uri.path().starts_with(TIMERS));
        let uri =
            uri.ok_or_else(|| failure("UnknownEvent", "the timer's path is not one of a timer"))?;
        let response = self.answer(post(uri, Body::empty()), within).await;
        let status = response.status();
        let body = gateway::collect(response).await?;
        if !status.is_success() {
            return Err(failure(
                "TimerFailed",
                format!("the timer was answered with status {status}"),
            ));
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Answers somebody outside.
    async fn answer_public(&self, request: Request, within: Duration) -> Response {
        let path = request.uri().path();
        if PRIVATE.iter().any(|private| path.starts_with(private)) {
            return app::finished(Problem::new(Code::NotFound));
        }
        self.answer(request, within).await
    }

    async fn answer(&self, request: Request, within: Duration) -> Response {
        let answer = tokio::time::timeout(within, Box::pin(self.app.answer(request)));
        answer.await.unwrap_or_else(|_| {
            tracing::error!("an invocation ran out of time");
            app::finished(Problem::new(Code::Unavailable))
        })
    }

    fn time_left(&self, context: &Context) -> Duration {
        let now = u64::try_from((self.clock)().as_millis()).unwrap_or_default();
        let left = Duration::from_millis(context.deadline.saturating_sub(now));
        if left.is_zero() || left > LONGEST {
            return LONGEST;
        }
        left.saturating_sub(MARGIN)
    }
}

/// A request of the inside, as a broker or a timer sends it.
fn post(uri: Uri, body: Body) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    // No field of a connection is to be set: there is none.
    *request.version_mut() = Version::HTTP_2;
    request
}

#[cfg(test)]
mod tests;
