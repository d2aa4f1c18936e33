//! Which route a path takes
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>).

/// Routes that take any method, and the function for what has none.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    routes: Vec<Route>,
    default: Option<String>,
}

#[derive(Debug, Clone)]
struct Route {
    /// `ANY /spikes/{spike_id}`.
    key: String,
    parts: Vec<String>,
    function: String,
}

impl Routes {
    /// Adds a route such as `/assets/{path+}`.
    pub fn add(&mut self, path: &str, function: &str) {
        self.routes.push(Route {
            key: format!("ANY {path}"),
            parts: path
                .trim_start_matches('/')
                .split('/')
                .map(str::to_owned)
                .collect(),
            function: function.to_owned(),
        });
    }

    /// Sets what `$default` leads to.
    pub fn set_default(&mut self, function: &str) {
        self.default = Some(function.to_owned());
    }

    /// The key of the route that `path` takes, and its function. A route without a greedy parameter goes before one with it,
    /// and a literal part before a parameter.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(&str, &str)> {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let matching = self.routes.iter().filter(|route| route.matches(&parts));
        let best = matching.max_by_key(|route| route.rank());
        match best {
            Some(route) => Some((&route.key, &route.function)),
            None => self
                .default
                .as_deref()
                .map(|function| ("$default", function)),
        }
    }
}

impl Route {
    fn matches(&self, path: &[&str]) -> bool {
        let greedy = self.parts.last().is_some_and(|part| part.ends_with("+}"));
        let length = self.parts.len();
        let long_enough = if greedy {
            path.len() >= length
        } else {
            path.len() == length
        };
        long_enough
            && self.parts.iter().zip(path).all(|(part, given)| {
                if part.starts_with('{') {
                    !given.is_empty()
                } else {
                    part == given
                }
            })
    }

    fn rank(&self) -> (bool, Vec<bool>) {
        let greedy = self.parts.iter().any(|part| part.ends_with("+}"));
        let literal = self.parts.iter().map(|part| !part.starts_with('{'));
        (!greedy, literal.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_takes_the_most_particular_route() {
        let mut routes = Routes::default();
        for (path, function) in [
            ("/", "web"),
            ("/assets/{path+}", "web"),
            ("/spikes/{spike_id}", "spike-list"),
            ("/spikes/{spike_id}/order", "order-query"),
            ("/admin/users/import", "admin-import"),
            ("/admin/users/{user_id}", "admin-users"),
        ] {
            routes.add(path, function);
        }
        let to = |path| routes.find(path).map(|(_, function)| function);
        assert_eq!(to("/"), Some("web"));
        assert_eq!(to("/assets/a/b.css"), Some("web"));
        assert_eq!(to("/assets/"), None);
        assert_eq!(to("/spikes/1/order"), Some("order-query"));
        assert_eq!(to("/spikes/1"), Some("spike-list"));
        assert_eq!(to("/admin/users/import"), Some("admin-import"));
        assert_eq!(to("/admin/users/1"), Some("admin-users"));
        assert_eq!(to("/spikes/1/2/3"), None);
        routes.set_default("fallback");
        assert_eq!(routes.find("/nowhere"), Some(("$default", "fallback")));
    }
}
