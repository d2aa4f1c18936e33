//! The one log line of an error, written where it becomes an answer.

use std::error::Error;

use super::Problem;

/// Logs an error that is about to be answered with `problem`, with the chain of its sources.
///
/// Our bugs are errors, dependencies that are away are warnings. What the caller did, and what we refuse ourselves with
/// nothing behind it (a full bucket), is not worth a line unless somebody debugs: a sale has ten thousand of these.
pub fn log(error: &dyn Error, problem: &Problem) {
    let code = problem.code().code();
    match problem.code().status().as_u16() {
        500 => tracing::error!(problem.code = code, error = chain(error), "failed"),
        501.. if error.source().is_some() => {
            tracing::warn!(problem.code = code, error = chain(error), "refused");
        }
        _ => tracing::debug!(problem.code = code, error = chain(error), "refused"),
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn the_chain_of_sources_is_one_line() {
        let inner = std::fmt::Error;
        assert_eq!(chain(&Outer(inner)), format!("outer: {inner}"));
    }
}
