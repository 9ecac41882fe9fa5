//! Checks `enrolment.policy`.

use std::num::NonZeroU8;

use time::OffsetDateTime;

use super::super::errors::Errors;
use super::written::{entries, list, text, texts, wrong};
use crate::cluster::config_error::Reason;
use crate::cluster::enrolment::{
    EnrolmentError, MAX_RULES, POLICY_WORDS, PROFILES, Policy, Program, REQUIREMENT_KEYS, REQUIREMENT_WORDS, RULE_KEYS,
    RequestKind, Requirement, Rule, THEN_WORDS, Then, Url, WEBHOOK_KEYS, WHEN_KEYS, Webhook, When,
};
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::kubelet::Written;

/// Returns the policy; `None` if it has errors.
pub(super) fn parse(
    written: Option<&Written>,
    until: Option<OffsetDateTime>,
    has_until: bool,
    errors: &mut Errors,
) -> Option<Policy> {
    const PATH: &str = "enrolment.policy";
    let policy = match written {
        None | Some(Written::Nothing) => Some(Policy::Queue),
        Some(Written::List(items)) => rules(items, errors),
        Some(Written::Text(word)) => match POLICY_WORDS.iter().position(|known| known == word) {
            Some(0) => Some(Policy::AlwaysReject),
            Some(1) => Some(Policy::Queue),
            Some(_) => match until {
                Some(until) => return Some(Policy::InsecureAlwaysApprove { until }),
                None if has_until => return None,
                None => {
                    errors.add(PATH, Some(word.clone()), Reason::Enrolment(EnrolmentError::NoEnd));
                    None
                }
            },
            None => {
                errors.add(PATH, Some(word.clone()), Reason::Choice { allowed: POLICY_WORDS.to_vec() });
                None
            }
        },
        Some(other) => {
            wrong(other, PATH, "always-reject, queue, insecure-always-approve or a list of rules", errors);
            None
        }
    };
    if has_until && policy.is_some() {
        errors.add("enrolment.until", None, Reason::Enrolment(EnrolmentError::EndOfOther));
    }
    policy
}

fn rules(items: &[Written], errors: &mut Errors) -> Option<Policy> {
    const PATH: &str = "enrolment.policy";
    if items.is_empty() {
        errors.add(PATH, None, Reason::Missing { wanted: "at least one rule, or a word" });
        return None;
    }
    if items.len() > MAX_RULES {
        errors.add(PATH, None, Reason::Enrolment(EnrolmentError::TooManyRules));
        return None;
    }
    let mut found: Vec<Rule> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{PATH}[{i}]");
        let Some(rule) = rule(item, &path, errors) else { continue };
        if let Some(first) = found.iter().position(|other| other.name == rule.name) {
            let first = format!("{PATH}[{first}].name");
            errors.add(&format!("{path}.name"), Some(rule.name.clone()), Reason::Duplicate { first });
        }
        found.push(rule);
    }
    (found.len() == items.len()).then_some(Policy::Rules(found))
}

fn rule(written: &Written, path: &str, errors: &mut Errors) -> Option<Rule> {
    let wanted = "a rule, as in {name: racks, require: [inventory, ssh-host-key], then: approve},";
    if *written == Written::Nothing {
        wrong(written, path, wanted, errors);
        return None;
    }
    let [name, when, require, then, approvals] = entries(written, path, wanted, RULE_KEYS, errors)?;
    let name = match name {
        None => errors.missing(&format!("{path}.name"), "a name for the rule, for example racks"),
        Some(_) => rule_name(name, &format!("{path}.name"), errors),
    };
    let when = match when {
        None => Some(When::default()),
        Some(written) => conditions(written, &format!("{path}.when"), errors),
    };
    let require = requirements(require, &format!("{path}.require"), errors);
    let then = outcome(then, approvals, path, errors);
    let (name, when, require, then) = (name?, when?, require?, then?);
    if then == Then::Approve && !require.iter().any(Requirement::is_about_the_requester) {
        errors.add(&format!("{path}.require"), None, Reason::Enrolment(EnrolmentError::ApprovesEveryone));
        return None;
    }
    Some(Rule { name, when, require, then })
}

fn rule_name(written: Option<&Written>, path: &str, errors: &mut Errors) -> Option<String> {
    let name = text(written, path, errors)?;
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (1..=63).contains(&name.len()) && name.chars().all(fine) && !name.starts_with('-');
    let name = is_name.then(|| name.to_owned()).ok_or(Reason::Enrolment(EnrolmentError::RuleName));
    errors.parsed(path, text(written, path, &mut Errors::default()).unwrap_or_default(), name)
}

fn conditions(written: &Written, path: &str, errors: &mut Errors) -> Option<When> {
    let wanted = "a mapping, as in {kind: renewal, hosts: \"worker-*\"},";
    let [kind, hosts, profile] = entries(written, path, wanted, WHEN_KEYS, errors)?;
    let before = errors.0.len();
    let kind = text(kind, &format!("{path}.kind"), errors).and_then(|text| {
        let found = RequestKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        let allowed = RequestKind::ALL.map(RequestKind::as_str).to_vec();
        errors.parsed(&format!("{path}.kind"), text, found.ok_or(Reason::Choice { allowed }))
    });
    let profile = text(profile, &format!("{path}.profile"), errors).and_then(|text| {
        let found = PROFILES.into_iter().find(|profile| profile.policy().name == text);
        let allowed = PROFILES.map(|profile| profile.policy().name).to_vec();
        errors.parsed(&format!("{path}.profile"), text, found.ok_or(Reason::Choice { allowed }))
    });
    let mut patterns = Vec::new();
    for (path, text) in texts(hosts, &format!("{path}.hosts"), errors) {
        match HostPattern::parse_all(&[text.to_owned()]) {
            Ok(found) => patterns.extend(found),
            Err(_) => {
                let wanted = "a name of a host, or a pattern such as worker-*,";
                errors.add(&path, Some(text.to_owned()), Reason::Shape { wanted });
            }
        }
    }
    (errors.0.len() == before).then_some(When { kind, hosts: patterns, profile })
}

fn outcome(then: Option<&Written>, approvals: Option<&Written>, path: &str, errors: &mut Errors) -> Option<Then> {
    let count = match approvals {
        None => None,
        Some(written) => {
            let path = format!("{path}.approvals");
            let text = text(Some(written), &path, errors)?;
            let count = text.parse().ok().filter(|count: &NonZeroU8| count.get() <= 9 && text.len() == 1);
            let count = count.ok_or(Reason::Enrolment(EnrolmentError::Approvals));
            Some(errors.parsed(&path, text, count)?)
        }
    };
    let path_of_then = format!("{path}.then");
    let Some(written) = then else {
        return errors.missing(&path_of_then, "approve, queue or deny");
    };
    let word = text(Some(written), &path_of_then, errors)?;
    let then = match THEN_WORDS.iter().position(|known| *known == word) {
        Some(0) => Then::Approve,
        Some(1) => Then::Queue { approvals: count },
        Some(_) => Then::Deny,
        None => {
            errors.add(&path_of_then, Some(word.to_owned()), Reason::Choice { allowed: THEN_WORDS.to_vec() });
            return None;
        }
    };
    if count.is_some() && !matches!(then, Then::Queue { .. }) {
        let reason = Reason::Enrolment(EnrolmentError::ApprovalsOfOther);
        errors.add(&format!("{path}.approvals"), None, reason);
        return None;
    }
    Some(then)
}

fn requirements(written: Option<&Written>, path: &str, errors: &mut Errors) -> Option<Vec<Requirement>> {
    let items = match written {
        None | Some(Written::Nothing) => return Some(Vec::new()),
        Some(Written::List(items)) => items,
        Some(other) => {
            wrong(other, path, "a list of requirements, as in [inventory, ssh-host-key],", errors);
            return None;
        }
    };
    let one = |(i, item)| requirement(item, &format!("{path}[{i}]"), errors);
    let found: Vec<Option<Requirement>> = items.iter().enumerate().map(one).collect();
    found.into_iter().collect()
}

fn requirement(written: &Written, path: &str, errors: &mut Errors) -> Option<Requirement> {
    if let Written::Text(word) = written {
        let found = match REQUIREMENT_WORDS.iter().position(|known| known == word) {
            Some(0) => Ok(Requirement::Inventory),
            Some(1) => Ok(Requirement::SameHost),
            Some(2) => Ok(Requirement::SshHostKey),
            Some(3) => Ok(Requirement::Token),
            Some(_) => Ok(Requirement::SourceAddress),
            None => Err(Reason::Choice {
                allowed: REQUIREMENT_WORDS.into_iter().chain(REQUIREMENT_KEYS.iter().copied()).collect(),
            }),
        };
        return errors.parsed(path, word, found);
    }
    let wanted = "a requirement, as in ssh-host-key or {exec: [program, argument]},";
    if *written == Written::Nothing {
        wrong(written, path, wanted, errors);
        return None;
    }
    let found: [Option<&Written>; 3] = entries(written, path, wanted, REQUIREMENT_KEYS, errors)?;
    match found {
        [Some(exec), None, None] => program(exec, &format!("{path}.exec"), errors).map(Requirement::Exec),
        [None, Some(hook), None] => webhook(hook, &format!("{path}.webhook"), errors).map(Requirement::Webhook),
        [None, None, Some(script)] => {
            program(script, &format!("{path}.puppet-autosign"), errors).map(Requirement::PuppetAutosign)
        }
        _ => {
            errors.add(path, None, Reason::Enrolment(EnrolmentError::OneRequirement));
            None
        }
    }
}

fn program(written: &Written, path: &str, errors: &mut Errors) -> Option<Program> {
    let before = errors.0.len();
    let words = list(Some(written), path, errors);
    if errors.0.len() > before {
        return None;
    }
    for (path, text) in words.iter().filter(|(_, text)| text.contains('\0')) {
        errors.add(path, Some((*text).to_owned()), Reason::Shape { wanted: "a text without a NUL character" });
    }
    match words.split_first() {
        Some(((_, program), args)) if !program.trim().is_empty() && errors.0.len() == before => Some(Program {
            program: (*program).to_owned(),
            args: args.iter().map(|(_, text)| (*text).to_owned()).collect(),
        }),
        _ => {
            if errors.0.len() == before {
                errors.add(path, None, Reason::Enrolment(EnrolmentError::NoProgram));
            }
            None
        }
    }
}

fn webhook(written: &Written, path: &str, errors: &mut Errors) -> Option<Webhook> {
    let wanted =
        "a mapping, as in {url: \"https://cmdb.example.net/review\", ca: ca.crt, certificate: me.crt, key: me.key},";
    let found: [Option<&Written>; 4] = entries(written, path, wanted, WEBHOOK_KEYS, errors)?;
    let mut needed = |at: usize, wanted: &'static str| {
        let path = format!("{path}.{}", WEBHOOK_KEYS[at]);
        match found[at] {
            None => errors.missing(&path, wanted),
            Some(_) => text(found[at], &path, errors).map(str::to_owned),
        }
    };
    let url = needed(0, "the location of the service, for example https://cmdb.example.net/review");
    let ca = needed(1, "the file with the CAs of the service's certificate");
    let certificate = needed(2, "the file with the client certificate that the service sees");
    let key = needed(3, "the file with the key of the client certificate");
    let url =
        url.and_then(|text| errors.parsed(&format!("{path}.url"), &text, Url::parse(&text).map_err(Reason::Endpoint)));
    let (url, ca, certificate, key) = (url?, ca?, certificate?, key?);
    for (name, file) in [("ca", &ca), ("certificate", &certificate), ("key", &key)] {
        if file.trim().is_empty() || file.contains('\0') {
            let reason = Reason::Enrolment(EnrolmentError::Path);
            errors.add(&format!("{path}.{name}"), Some(file.clone()), reason);
        }
    }
    Some(Webhook { url, ca, certificate, key })
}
