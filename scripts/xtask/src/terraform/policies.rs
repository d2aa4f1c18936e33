//! What a policy allows is named: no wildcard stands for a resource or an action.
//!
//! A policy that denies may say `*`. A log group's streams are made while a function runs, so `ARN:*` is theirs.

use hcl::{Block, Expression};

use super::{
    Finding,
    configuration::{Configuration, address},
    expression::{member, members, plain},
};

/// Finds statements that allow more than they name.
pub(super) fn check(configuration: &Configuration) -> Vec<Finding> {
    let mut found = Vec::new();
    for block in &configuration.blocks {
        in_block(block, block, &mut found);
    }
    found.extend(configuration.modules.values().flat_map(check));
    found
}

fn in_block(block: &Block, outermost: &Block, found: &mut Vec<Finding>) {
    for attribute in block.body().attributes() {
        let mut problems = Vec::new();
        in_expression(attribute.expr(), &mut problems);
        found.extend(
            problems
                .into_iter()
                .map(|it| Finding::new(address(outermost), it)),
        );
    }
    for inner in block.body().blocks() {
        in_block(inner, outermost, found);
    }
}

fn in_expression(expression: &Expression, problems: &mut Vec<String>) {
    if let Some(effect) = member(expression, "Effect").and_then(plain) {
        if effect == "Allow" {
            statement(expression, problems);
        }
        return;
    }
    match expression {
        Expression::Array(items) => items.iter().for_each(|it| in_expression(it, problems)),
        Expression::Object(_) => {
            for (_, value) in members(expression) {
                in_expression(value, problems);
            }
        }
        Expression::FuncCall(call) => call.args.iter().for_each(|it| in_expression(it, problems)),
        Expression::Parenthesis(inner) => in_expression(inner, problems),
        Expression::Conditional(it) => {
            in_expression(&it.true_expr, problems);
            in_expression(&it.false_expr, problems);
        }
        Expression::ForExpr(it) => in_expression(&it.value_expr, problems),
        _ => {}
    }
}

fn statement(statement: &Expression, problems: &mut Vec<String>) {
    for name in ["Action", "NotAction", "NotResource", "Resource"] {
        let Some(value) = member(statement, name) else {
            continue;
        };
        if name.starts_with("Not") {
            problems.push(format!("allows by {name}: name what is allowed"));
        }
        let mut texts = Vec::new();
        literals(value, &mut texts);
        let is_log = member(statement, "Action").is_some_and(only_logs);
        for text in texts {
            let named = text
                .strip_suffix(":*")
                .filter(|_| name == "Resource" && is_log);
            if named.unwrap_or(&text).contains('*') {
                problems.push(format!("allows {name} {text:?}: name it"));
            }
        }
    }
    let everybody = member(statement, "Principal").and_then(plain).as_deref() == Some("*");
    if everybody && !is_of_one_account(statement) {
        problems.push("allows everybody: name the principal".to_owned());
    }
}

/// A gateway endpoint knows its callers by a condition only.
fn is_of_one_account(statement: &Expression) -> bool {
    let condition = member(statement, "Condition");
    let equals = condition.and_then(|it| member(it, "StringEquals"));
    let account = equals.and_then(|it| member(it, "aws:PrincipalAccount"));
    account.is_some_and(|it| plain(it).as_deref() != Some("*"))
}

fn only_logs(actions: &Expression) -> bool {
    let mut texts = Vec::new();
    literals(actions, &mut texts);
    !texts.is_empty() && texts.iter().all(|it| it.starts_with("logs:"))
}

/// Plain texts and templates as they are written.
fn literals(expression: &Expression, texts: &mut Vec<String>) {
    match expression {
        Expression::String(text) => texts.push(text.clone()),
        Expression::TemplateExpr(template) => texts.push(template.to_string()),
        Expression::Array(items) => items.iter().for_each(|it| literals(it, texts)),
        Expression::FuncCall(call) => call.args.iter().for_each(|it| literals(it, texts)),
        Expression::ForExpr(it) => literals(&it.value_expr, texts),
        Expression::Conditional(it) => {
            literals(&it.true_expr, texts);
            literals(&it.false_expr, texts);
        }
        _ => {}
    }
}
