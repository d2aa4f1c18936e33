//! Looking through expressions.

use hcl::{
    Expression, Operation, Template,
    expr::{ObjectKey, TemplateExpr, TraversalOperator},
    template::{Directive, Element},
};

/// Calls `seen` for each variable or traversal in `expression`, with the names that `for` binds there.
pub(super) fn references(
    expression: &Expression,
    bound: &[String],
    seen: &mut dyn FnMut(&Reference, &[String]),
) {
    match expression {
        Expression::Array(items) => items.iter().for_each(|it| references(it, bound, seen)),
        Expression::Object(members) => {
            for (key, value) in members {
                if let ObjectKey::Expression(key) = key {
                    // A bare word is a key, not a variable.
                    if !matches!(key, Expression::Variable(_)) {
                        references(key, bound, seen);
                    }
                }
                references(value, bound, seen);
            }
        }
        Expression::TemplateExpr(template) => in_text(template, bound, seen),
        Expression::Variable(name) => seen(&Reference(vec![name.to_string()]), bound),
        Expression::Traversal(traversal) => {
            let mut path = Vec::new();
            match &traversal.expr {
                Expression::Variable(name) => path.push(name.to_string()),
                other => references(other, bound, seen),
            }
            let is_named = !path.is_empty();
            let mut still_named = is_named;
            for operator in &traversal.operators {
                match operator {
                    TraversalOperator::GetAttr(name) if still_named => path.push(name.to_string()),
                    TraversalOperator::Index(Expression::String(name)) if still_named => {
                        path.push(name.clone());
                    }
                    TraversalOperator::Index(index) => {
                        references(index, bound, seen);
                        path.push("[]".to_owned());
                    }
                    TraversalOperator::GetAttr(_) => {}
                    _ => still_named = false,
                }
            }
            if is_named {
                seen(&Reference(path), bound);
            }
        }
        Expression::FuncCall(call) => call.args.iter().for_each(|it| references(it, bound, seen)),
        Expression::Parenthesis(inner) => references(inner, bound, seen),
        Expression::Conditional(it) => {
            for part in [&it.cond_expr, &it.true_expr, &it.false_expr] {
                references(part, bound, seen);
            }
        }
        Expression::Operation(operation) => match &**operation {
            Operation::Unary(it) => references(&it.expr, bound, seen),
            Operation::Binary(it) => {
                references(&it.lhs_expr, bound, seen);
                references(&it.rhs_expr, bound, seen);
            }
        },
        Expression::ForExpr(it) => {
            references(&it.collection_expr, bound, seen);
            let mut inside = bound.to_vec();
            inside.extend(it.key_var.iter().map(ToString::to_string));
            inside.push(it.value_var.to_string());
            let parts = [&it.key_expr, &it.cond_expr];
            for part in parts.into_iter().flatten().chain([&it.value_expr]) {
                references(part, &inside, seen);
            }
        }
        _ => {}
    }
}

fn in_text(text: &TemplateExpr, bound: &[String], seen: &mut dyn FnMut(&Reference, &[String])) {
    if let Ok(template) = Template::from_expr(text) {
        in_template(&template, bound, seen);
    }
}

fn in_template(template: &Template, bound: &[String], seen: &mut dyn FnMut(&Reference, &[String])) {
    for element in template.elements() {
        match element {
            Element::Literal(_) => {}
            Element::Interpolation(it) => references(&it.expr, bound, seen),
            Element::Directive(directive) => match &**directive {
                Directive::If(it) => {
                    references(&it.cond_expr, bound, seen);
                    in_template(&it.true_template, bound, seen);
                    if let Some(otherwise) = &it.false_template {
                        in_template(otherwise, bound, seen);
                    }
                }
                Directive::For(it) => {
                    references(&it.collection_expr, bound, seen);
                    let mut inside = bound.to_vec();
                    inside.extend(it.key_var.iter().map(ToString::to_string));
                    inside.push(it.value_var.to_string());
                    in_template(&it.template, &inside, seen);
                }
            },
        }
    }
}

/// `aws_sqs_queue.orders.arn` as its parts; an index that is not a plain text is `[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference(pub(super) Vec<String>);

impl Reference {
    /// The part at `index`, if there is one with a name.
    pub(super) fn part(&self, index: usize) -> Option<&str> {
        self.0
            .get(index)
            .map(String::as_str)
            .filter(|part| *part != "[]")
    }
}

/// The members of an object whose keys are plain.
pub(super) fn members(expression: &Expression) -> Vec<(String, &Expression)> {
    let Expression::Object(members) = expression else {
        return Vec::new();
    };
    members
        .iter()
        .filter_map(|(key, value)| Some((plain_key(key)?, value)))
        .collect()
}

/// The member of an object.
pub(super) fn member<'a>(expression: &'a Expression, name: &str) -> Option<&'a Expression> {
    let mut members = members(expression).into_iter();
    members.find(|(key, _)| key == name).map(|(_, value)| value)
}

/// The texts of a list of plain texts.
pub(super) fn texts(expression: &Expression) -> Vec<String> {
    let Expression::Array(items) = expression else {
        return Vec::new();
    };
    items.iter().filter_map(plain).collect()
}

/// A plain text.
pub(super) fn plain(expression: &Expression) -> Option<String> {
    match expression {
        Expression::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn plain_key(key: &ObjectKey) -> Option<String> {
    match key {
        ObjectKey::Identifier(name) => Some(name.to_string()),
        ObjectKey::Expression(Expression::String(text)) => Some(text.clone()),
        ObjectKey::Expression(Expression::Variable(name)) => Some(name.to_string()),
        _ => None,
    }
}
