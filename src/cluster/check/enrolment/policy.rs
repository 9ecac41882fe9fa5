//! Checks `enrolment.policy`.

use std::num::NonZeroU8;

use time::OffsetDateTime;

use super::super::errors::Errors;
use super::values::{entries, list, text, texts, wrong_type};
use crate::cluster::config_error::Reason;
use crate::cluster::enrolment::{
    EnrolmentError, MAX_RULES, POLICY_WORDS, PROFILES, Policy, Program, REQUIREMENT_KEYS, REQUIREMENT_WORDS, RULE_KEYS,
    RequestKind, Requirement, Rule, THEN_WORDS, Then, Url, WEBHOOK_KEYS, WHEN_KEYS, Webhook, When,
};
use crate::cluster::host_pattern::HostPattern;
use crate::cluster::kubelet::RawValue;

/// Returns the policy; `None` if it cannot be determined because of an error.
///
/// `until` is the parsed value of `enrolment.until`, which only the policy `insecure-always-approve` may have. `has_until` says
/// whether the key is in the file. If its value is invalid, that was already reported, and `insecure-always-approve` is not
/// reported as lacking it. With another policy the key is always an error.
///
/// Errors that leave a policy usable, such as two rules of the same name, do not make it `None`. The caller rejects the file if any
/// error was added.
pub(super) fn parse(
    value: Option<&RawValue>,
    until: Option<OffsetDateTime>,
    has_until: bool,
    errors: &mut Errors,
) -> Option<Policy> {
    const PATH: &str = "enrolment.policy";
    let policy = match value {
        None | Some(RawValue::Null) => Some(Policy::Queue),
        Some(RawValue::List(items)) => rules(items, errors),
        Some(RawValue::Text(word)) => match POLICY_WORDS.iter().position(|known| known == word) {
            Some(0) => Some(Policy::AlwaysReject),
            Some(1) => Some(Policy::Queue),
            Some(_) => match until {
                Some(until) => return Some(Policy::InsecureAlwaysApprove { until }),
                None if has_until => return None,
                None => {
                    errors.add(PATH, Some(word.clone()), Reason::Enrolment(EnrolmentError::MissingUntil));
                    None
                }
            },
            None => {
                errors.add(PATH, Some(word.clone()), Reason::Choice { allowed: POLICY_WORDS.to_vec() });
                None
            }
        },
        Some(other) => {
            wrong_type(other, PATH, "always-reject, queue, insecure-always-approve or a list of rules", errors);
            None
        }
    };
    if has_until && policy.is_some() {
        errors.add("enrolment.until", None, Reason::Enrolment(EnrolmentError::UntilWithOtherPolicy));
    }
    policy
}

fn rules(items: &[RawValue], errors: &mut Errors) -> Option<Policy> {
    const PATH: &str = "enrolment.policy";
    if items.is_empty() {
        errors.add(
            PATH,
            None,
            Reason::Missing { wanted: "at least one rule, or one of always-reject, queue and insecure-always-approve" },
        );
        return None;
    }
    if items.len() > MAX_RULES {
        errors.add(PATH, None, Reason::Enrolment(EnrolmentError::TooManyRules));
        return None;
    }
    // Items that are no rules are left out, so the place in the file is kept.
    let mut found: Vec<(usize, Rule)> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("{PATH}[{i}]");
        let Some(rule) = rule(item, &path, errors) else { continue };
        if let Some((first, _)) = found.iter().find(|(_, other)| other.name == rule.name) {
            let first = format!("{PATH}[{first}].name");
            errors.add(&format!("{path}.name"), Some(rule.name.clone()), Reason::Duplicate { first });
        }
        found.push((i, rule));
    }
    (found.len() == items.len()).then(|| Policy::Rules(found.into_iter().map(|(_, rule)| rule).collect()))
}

fn rule(value: &RawValue, path: &str, errors: &mut Errors) -> Option<Rule> {
    // The message goes on with "is needed here", so texts that end in an example end in a comma.
    let wanted = "a rule, as in {name: known-hosts, require: [inventory, ssh-host-key], then: approve},";
    if *value == RawValue::Null {
        wrong_type(value, path, wanted, errors);
        return None;
    }
    let [name, when, require, then, approvals] = entries(value, path, wanted, RULE_KEYS, errors)?;
    let name = match name {
        None => errors.missing(&format!("{path}.name"), "a name for the rule, for example known-hosts"),
        Some(_) => rule_name(name, &format!("{path}.name"), errors),
    };
    let when = match when {
        None => Some(When::default()),
        Some(value) => conditions(value, &format!("{path}.when"), errors),
    };
    let require = requirements(require, &format!("{path}.require"), errors);
    let then = outcome(then, approvals, path, errors);
    let (name, when, require, then) = (name?, when?, require?, then?);
    if then == Then::Approve && !require.iter().any(Requirement::is_evidence_of_requester) {
        errors.add(&format!("{path}.require"), None, Reason::Enrolment(EnrolmentError::ApprovesEveryone));
        return None;
    }
    Some(Rule { name, when, require, then })
}

fn rule_name(value: Option<&RawValue>, path: &str, errors: &mut Errors) -> Option<String> {
    let name = text(value, path, errors)?;
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = (1..=63).contains(&name.len()) && name.chars().all(is_allowed) && !name.starts_with('-');
    let name = is_name.then(|| name.to_owned()).ok_or(Reason::Enrolment(EnrolmentError::InvalidRuleName));
    errors.parsed(path, text(value, path, &mut Errors::default()).unwrap_or_default(), name)
}

fn conditions(value: &RawValue, path: &str, errors: &mut Errors) -> Option<When> {
    let wanted = "a mapping, as in {kind: renewal, hosts: \"worker-*\"},";
    let [kind, hosts, profile] = entries(value, path, wanted, WHEN_KEYS, errors)?;
    let errors_before = errors.0.len();
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
                let wanted = "a host name, or a pattern such as worker-*,";
                errors.add(&path, Some(text.to_owned()), Reason::Shape { wanted });
            }
        }
    }
    (errors.0.len() == errors_before).then_some(When { kind, hosts: patterns, profile })
}

fn outcome(then: Option<&RawValue>, approvals: Option<&RawValue>, path: &str, errors: &mut Errors) -> Option<Then> {
    let count = match approvals {
        None => None,
        Some(value) => {
            let path = format!("{path}.approvals");
            let text = text(Some(value), &path, errors)?;
            let count = text.parse().ok().filter(|count: &NonZeroU8| count.get() <= 9 && text.len() == 1);
            let count = count.ok_or(Reason::Enrolment(EnrolmentError::InvalidApprovals));
            Some(errors.parsed(&path, text, count)?)
        }
    };
    let path_of_then = format!("{path}.then");
    let Some(value) = then else {
        return errors.missing(&path_of_then, "approve, queue or deny");
    };
    let word = text(Some(value), &path_of_then, errors)?;
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
        let reason = Reason::Enrolment(EnrolmentError::ApprovalsWithoutQueue);
        errors.add(&format!("{path}.approvals"), None, reason);
        return None;
    }
    Some(then)
}

fn requirements(value: Option<&RawValue>, path: &str, errors: &mut Errors) -> Option<Vec<Requirement>> {
    let items = match value {
        None | Some(RawValue::Null) => return Some(Vec::new()),
        Some(RawValue::List(items)) => items,
        Some(other) => {
            wrong_type(other, path, "a list of requirements, as in [inventory, ssh-host-key],", errors);
            return None;
        }
    };
    let parse_item = |(i, item)| requirement(item, &format!("{path}[{i}]"), errors);
    // All items are parsed before the first error ends the iteration, so that each error is reported.
    let found: Vec<Option<Requirement>> = items.iter().enumerate().map(parse_item).collect();
    found.into_iter().collect()
}

fn requirement(value: &RawValue, path: &str, errors: &mut Errors) -> Option<Requirement> {
    if let RawValue::Text(word) = value {
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
    if *value == RawValue::Null {
        wrong_type(value, path, wanted, errors);
        return None;
    }
    let found: [Option<&RawValue>; 3] = entries(value, path, wanted, REQUIREMENT_KEYS, errors)?;
    match found {
        [Some(exec), None, None] => program(exec, &format!("{path}.exec"), errors).map(Requirement::Exec),
        [None, Some(hook), None] => webhook(hook, &format!("{path}.webhook"), errors).map(Requirement::Webhook),
        [None, None, Some(script)] => {
            program(script, &format!("{path}.puppet-autosign"), errors).map(Requirement::PuppetAutosign)
        }
        _ => {
            errors.add(path, None, Reason::Enrolment(EnrolmentError::NotOneRequirement));
            None
        }
    }
}

fn program(value: &RawValue, path: &str, errors: &mut Errors) -> Option<Program> {
    let errors_before = errors.0.len();
    let words = list(Some(value), path, errors);
    if errors.0.len() > errors_before {
        return None;
    }
    for (path, text) in words.iter().filter(|(_, text)| text.contains('\0')) {
        errors.add(path, Some((*text).to_owned()), Reason::Shape { wanted: "a string without a NUL character" });
    }
    match words.split_first() {
        Some(((_, program), args)) if !program.trim().is_empty() && errors.0.len() == errors_before => Some(Program {
            program: (*program).to_owned(),
            args: args.iter().map(|(_, text)| (*text).to_owned()).collect(),
        }),
        _ => {
            if errors.0.len() == errors_before {
                errors.add(path, None, Reason::Enrolment(EnrolmentError::NoProgram));
            }
            None
        }
    }
}

fn webhook(value: &RawValue, path: &str, errors: &mut Errors) -> Option<Webhook> {
    let wanted =
        "a mapping, as in {url: \"https://cmdb.example.net/review\", ca: ca.crt, certificate: me.crt, key: me.key},";
    let found: [Option<&RawValue>; 4] = entries(value, path, wanted, WEBHOOK_KEYS, errors)?;
    let mut required_text = |index: usize, wanted: &'static str| {
        let path = format!("{path}.{}", WEBHOOK_KEYS[index]);
        match found[index] {
            None => errors.missing(&path, wanted),
            Some(_) => text(found[index], &path, errors).map(str::to_owned),
        }
    };
    let url = required_text(0, "the URL of the service, for example https://cmdb.example.net/review");
    let ca = required_text(1, "the file with the CAs that may issue the service's certificate");
    let certificate = required_text(2, "the file with the client certificate that clusterctl presents to the service");
    let key = required_text(3, "the file with the private key of the client certificate");
    let url =
        url.and_then(|text| errors.parsed(&format!("{path}.url"), &text, Url::parse(&text).map_err(Reason::Endpoint)));
    let (url, ca, certificate, key) = (url?, ca?, certificate?, key?);
    for (name, file) in [("ca", &ca), ("certificate", &certificate), ("key", &key)] {
        if file.trim().is_empty() || file.contains('\0') {
            let reason = Reason::Enrolment(EnrolmentError::InvalidPath);
            errors.add(&format!("{path}.{name}"), Some(file.clone()), reason);
        }
    }
    Some(Webhook { url, ca, certificate, key })
}
