//! From a rule's text to an expression that is known to be safe to evaluate.

use cel::{
    common::ast::{Expr, IdedExpr, LiteralValue},
    parser::PrattParser,
};

use crate::{
    cost::{self, Budget},
    patterns::Patterns,
    scan,
};

/// How deep brackets, arguments and indexes may stand in each other: a second line behind [`scan`], which also bounds what
/// else can nest.
const MAX_RECURSION: u16 = 64;
/// After so many errors the parser gives up. One is enough to refuse a rule.
const MAX_RECOVERIES: u32 = 2;

/// Why a rule is refused. The texts end a sentence and never quote the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("is longer than 2048 bytes")]
    TooLong,
    #[error("is nested too deeply")]
    TooDeep,
    #[error("has too many parts")]
    TooManyTokens,
    #[error("is not a CEL expression (line {line}, column {column})")]
    Syntax { line: isize, column: isize },
    #[error("uses a name that is not known: only user.id, user.attributes, spike and now are")]
    UnknownName,
    #[error("calls a function that is not allowed")]
    UnknownFunction,
    #[error("builds a message or an optional value, which is not allowed")]
    Unsupported,
    #[error("has a pattern that is not a plain text, is malformed or too complex")]
    Pattern,
    #[error("would take too long: too many steps over nested lists or long texts")]
    TooDear,
    #[error("does not yield true or false")]
    NotBool,
}

/// The library's newer parser (ADR 38).
pub(crate) fn parser() -> PrattParser {
    PrattParser::new()
        .max_recursion_depth(MAX_RECURSION)
        .error_recovery_limit(MAX_RECOVERIES)
}

/// Parses and checks one rule. Runs on the big stack, where what is refused is also dropped.
pub(crate) fn rule(
    source: &str,
    budget: &mut Budget,
    patterns: &mut Patterns,
) -> Result<IdedExpr, Problem> {
    scan::check(source)?;
    let expression = parser().parse(source).map_err(|errors| {
        // That the parser gave up stands first, without a place.
        let mut places = errors.errors.iter().map(|error| error.pos);
        let (line, column) = places.find(|(line, _)| *line > 0).unwrap_or_default();
        Problem::Syntax { line, column }
    })?;
    cost::check(&expression, budget, patterns)?;
    match &expression.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => Ok(expression),
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => Err(Problem::NotBool),
        _ => Ok(expression),
    }
}
