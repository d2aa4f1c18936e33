//! Whether a user may buy in a spike.

/// What a spike's access rules say about one user. Nothing defaults to `Allowed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All rules hold.
    Allowed,
    /// A rule does not hold, or failed; the reason is the admin's text for the buyer.
    Denied(String),
}

impl Verdict {
    /// The text in Redis: `+`, or `-` and the reason.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Allowed => "+".to_owned(),
            Self::Denied(reason) => format!("-{reason}"),
        }
    }

    /// Reads [`Verdict::to_text`]; whatever else stands there is a denial.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "+" => Self::Allowed,
            _ => Self::Denied(text.strip_prefix('-').unwrap_or_default().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plus_allows() {
        let denied = Verdict::Denied("Only for adults.".into());
        assert_eq!(Verdict::from_text(&denied.to_text()), denied);
        assert_eq!(
            Verdict::from_text(&Verdict::Allowed.to_text()),
            Verdict::Allowed
        );
        for text in ["", "++", "yes", "-", "1"] {
            assert_ne!(Verdict::from_text(text), Verdict::Allowed, "{text}");
        }
    }
}
