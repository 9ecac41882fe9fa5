//! Finds the user that a refusal names. A server that repeats the name in another CA's certificate has parsed the
//! certificate, and may trust it.

use serde_json::Value;

use super::super::observation::Answer;

/// The user that a refusal names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// None.
    NoUser,
    /// The user was authenticated under this name.
    User(String),
    /// A name from the client's certificate that the message does not call a user.
    Mentioned(String),
}

/// Returns the user that a refusal names, as Kubernetes's authorizers do, or by a name in the presented certificate.
pub(super) fn named(answer: &Answer, presented: &[String]) -> Named {
    if let Some(user) = named_user(answer) {
        return Named::User(user);
    }
    // A 401 requires authentication, so the client was not authenticated.
    if answer.status == 401 {
        return Named::NoUser;
    }
    let text = plain(&answer.body);
    let mut mentioned = Named::NoUser;
    for name in presented {
        match mention(&text, name) {
            Some(true) => return Named::User(name.clone()),
            Some(false) if mentioned == Named::NoUser => mentioned = Named::Mentioned(name.clone()),
            _ => {}
        }
    }
    mentioned
}

/// Returns the user in an authorizer's message: `User "NAME" cannot …` of an API server, `Forbidden (user=NAME, verb=…`
/// of a kubelet. A named user has been authenticated.
pub(super) fn named_user(answer: &Answer) -> Option<String> {
    let message = serde_json::from_str::<Value>(&answer.body)
        .ok()
        .and_then(|body| body.get("message").and_then(Value::as_str).map(str::to_owned));
    // A truncated body is not JSON, and its quotes are still escaped.
    let text = plain(&message.unwrap_or_else(|| answer.body.to_string()));
    if let Some((_, rest)) = text.split_once("(user=") {
        let user = rest.split_once(", verb=").map_or_else(|| rest.trim_end().trim_end_matches(')'), |(user, _)| user);
        return Some(user.to_owned());
    }
    let (_, rest) = text.split_once("User \"")?;
    let (user, _) = rest.split_once("\" cannot")?;
    (!user.contains('\n')).then(|| user.to_owned())
}

/// Returns a text without the escapes of JSON, Go or HTML.
fn plain(text: &str) -> String {
    let mut plain = text.replace("\\u0022", "\"").replace("\\u0027", "'");
    plain.retain(|c| c != '\\');
    for (entity, quote) in [("&quot;", "\""), ("&#34;", "\""), ("&#39;", "'"), ("&apos;", "'")] {
        plain = plain.replace(entity, quote);
    }
    plain
}

/// Returns `Some` if a text contains this name, and `Some(true)` if the text calls it a user.
fn mention(text: &str, name: &str) -> Option<bool> {
    let mut found = None;
    for (at, _) in text.match_indices(name).filter(|_| !name.is_empty()) {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let begins = before.chars().next_back().is_none_or(|c| !is_part(c) && !matches!(c, ':' | '.'));
        let mut next = after.chars();
        let ends = match next.next() {
            Some(':' | '.') => next.next().is_none_or(|c| !is_part(c)),
            other => other.is_none_or(|c| !is_part(c)),
        };
        if begins && ends {
            let before = before.trim_end_matches([' ', '\t', '"', '\'', '=', ':', '(', '[']).to_ascii_lowercase();
            let is_users = ["user", "username", "user name"].iter().any(|word| before.ends_with(word));
            found = Some(is_users || found == Some(true));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::super::observation::Outcome;
    use super::super::fixture::answer;
    use super::*;

    fn refusal(status: u16, body: &str) -> Answer {
        let Outcome::Answer(answer) = answer(status, body) else { panic!("an answer") };
        answer
    }

    #[test]
    fn the_user_is_found_in_every_form_of_refusal() {
        let status = r#"{"kind":"Status","message":"nodes is forbidden: User \"kubelet:n1\" cannot list resource \"nodes\"","code":403}"#;
        for (body, user) in [
            (status, Some("kubelet:n1")),
            (&status[..80], Some("kubelet:n1")),
            (
                "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource=proxy)",
                Some("system:anonymous"),
            ),
            ("Forbidden (user=a, b (c), verb=get, resource=nodes, subresource(s)=[pods proxy])\n", Some("a, b (c)")),
            ("forbidden: User \"x\" cannot get path \"/metrics\"", Some("x")),
            (r#"{"message":"forbidden: User \"a\\\"b\" cannot list"}"#, Some("a\"b")),
            ("<p>User &quot;x&quot; cannot list</p>", Some("x")),
            ("User \"x\" is welcome", None),
            ("Unauthorized", None),
            ("<html>", None),
        ] {
            assert_eq!(named_user(&refusal(403, body)).as_deref(), user, "{body}");
        }
    }

    #[test]
    fn names_of_the_presented_certificate_are_found_in_other_messages() {
        let presented = ["kubelet:n1".to_owned(), "kubelets".to_owned()];
        let user = || Named::User("kubelet:n1".to_owned());
        let mentioned = |name: &str| Named::Mentioned(name.to_owned());
        for (body, wanted) in [
            ("User 'kubelet:n1' cannot list", user()),
            ("user kubelet:n1 is not allowed", user()),
            ("access denied: username=kubelet:n1", user()),
            (r#"{"error":"forbidden","user":"kubelet:n1"}"#, user()),
            (r#"{"error":"{\"user\":\"kubelet:n1\"}"}"#, user()),
            ("<b>USER</b>: kubelet:n1", mentioned("kubelet:n1")),
            ("CN=kubelet:n1,O=kubelets is not allowed", mentioned("kubelet:n1")),
            ("groups [kubelets] may not", mentioned("kubelets")),
            ("not for kubelet:n10, kubelet:n1.example or my-kubelets", Named::NoUser),
            ("kubelet:n1.", mentioned("kubelet:n1")),
            (
                "nodes is forbidden: User \"system:anonymous\" cannot list; kubelets may",
                Named::User("system:anonymous".into()),
            ),
            ("forbidden", Named::NoUser),
        ] {
            assert_eq!(named(&refusal(403, body), &presented), wanted, "{body}");
        }
        assert_eq!(named(&refusal(401, "who is kubelet:n1?"), &presented), Named::NoUser);
    }
}
