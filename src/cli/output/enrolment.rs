//! Prints requests of hosts and the events of a signer, as text and JSON.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::enrol::decide::WrittenDecision;
use crate::app::enrol::judge::Inventory;
use crate::app::enrol::review::{RecordedDecision, ReplayedRequest, ReviewedRequest};
use crate::app::enrol::signer::{Counts, SignerEvent};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::{in_words, stamp};
use crate::enrol::approval::Choice;
use crate::enrol::policy::Decision;
use crate::enrol::request::Condition;
use crate::sanitize::{sanitized, sanitized_lines};
use crate::server::notice::ServerNotice;
use crate::ui::Screen;

/// Prints an event of a signer on one line.
pub(crate) fn show_event(event: &SignerEvent, screen: &mut Screen<'_>) {
    match event {
        SignerEvent::Working { mailbox } => screen.step(format_args!("works at {mailbox}")),
        SignerEvent::Standby { mailbox } => screen.step(format_args!("another signer works at {mailbox}")),
        SignerEvent::Queued { request, host, reason } => {
            screen.answer(format_args!("queued    {host}  {}  {}", sanitized(request), sanitized(reason)));
        }
        SignerEvent::Approved { request, host, reason } => {
            screen.answer(format_args!("approved  {host}  {}  {}", sanitized(request), sanitized(reason)));
        }
        SignerEvent::Denied { request, host, reason } => {
            screen.answer(format_args!("denied    {host}  {}  {}", sanitized(request), sanitized(reason)));
        }
        SignerEvent::Issued { request, host, profile, serial, not_after, again } => {
            let word = if *again { "again     " } else { "issued    " };
            let (request, name, end) = (sanitized(request), profile.policy().name, stamp(*not_after));
            screen.answer(format_args!("{word}{host}  {request}  {name}, serial {serial}, until {end}"));
        }
        SignerEvent::Unreadable { request, reason } => {
            screen.warn(format_args!("{} is not a request: {}", sanitized(request), sanitized(reason)));
        }
        SignerEvent::Retry { subject, reason } => {
            screen.warn(format_args!("{}: {}; it is tried again", sanitized(subject), sanitized(reason)));
        }
        SignerEvent::Insecure { reason } => screen.warn(reason),
        SignerEvent::OpenProgram { path, mode } => screen.warn(format_args!(
            "every user can change the program {0}, which decides about requests: it has mode {mode:04o}. Close it with: chmod o-w {0}",
            sanitized(&path.display().to_string())
        )),
    }
}

/// Prints the notices of a running server.
pub(crate) fn show_server_notices(notices: &[ServerNotice], screen: &mut Screen<'_>) {
    for notice in notices {
        match notice {
            ServerNotice::Unreadable { reason } => screen.warn(format_args!(
                "files of the cluster directory changed and cannot be read, so that their former state applies: {}",
                sanitized_lines(reason)
            )),
            ServerNotice::Readable => screen.step("the files of the cluster directory can be read again"),
            ServerNotice::Expiring { not_after } => screen.warn(format_args!(
                "the serving certificate expires at {}: clusterctl issue-master --all replaces it",
                stamp(*not_after)
            )),
            ServerNotice::Expired { not_after } => screen.warn(format_args!(
                "the serving certificate expired at {}, and clients refuse it: clusterctl issue-master --all replaces it",
                stamp(*not_after)
            )),
        }
    }
}

/// Prints the totals of a signer.
pub(crate) fn show_counts(counts: Counts, screen: &mut Screen<'_>) {
    let Counts { issued, denied, queued, retried } = counts;
    screen.step(format_args!(
        "{issued} issued, {denied} denied or refused, {queued} waiting for a person, {retried} to be tried again"
    ));
}

/// Prints a list of requests.
pub(crate) fn show_list(all: &[ReviewedRequest], now: OffsetDateTime, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        let requests: Vec<Value> = all.iter().map(json_of).collect();
        screen.answer(format_args!("{:#}", json!({ "schemaVersion": 1, "requests": requests })));
        return;
    }
    if all.is_empty() {
        screen.step("no requests");
        return;
    }
    let rows: Vec<[String; 6]> = all
        .iter()
        .map(|one| {
            let request = &one.request;
            [
                sanitized(&request.name),
                request.content.host.to_string(),
                request.content.profile().policy().name.to_owned(),
                request.state.to_string(),
                in_words(now - request.created),
                listed_verdict(one),
            ]
        })
        .collect();
    let head = ["NAME", "HOST", "PROFILE", "STATE", "AGE", "POLICY"].map(str::to_owned);
    let mut widths = head.clone().map(|text| text.len());
    for row in &rows {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = (*width).max(text.chars().count());
        }
    }
    for row in [head].iter().chain(&rows) {
        let cells: Vec<String> = row.iter().zip(widths).map(|(text, width)| format!("{text:<width$}")).collect();
        screen.answer(cells.join("  ").trim_end());
    }
}

/// Returns the decision of the policy: the one that was made, or for an open request the one that would be made now.
fn listed_verdict(one: &ReviewedRequest) -> String {
    if one.request.state.is_open() {
        return verdict(one);
    }
    let in_words = |made: RecordedDecision| match made.rule {
        Some(rule) => format!("{} ({rule})", made.verdict),
        None => made.verdict.to_owned(),
    };
    RecordedDecision::of(&one.request).map(in_words).unwrap_or_default()
}

fn verdict(one: &ReviewedRequest) -> String {
    match &one.decision {
        _ if !one.is_ours => "not signed here".to_owned(),
        None => "asks a program".to_owned(),
        Some(decision) => match &decision.rule {
            Some(rule) => format!("{} ({rule})", decision.verdict.as_str()),
            None => decision.verdict.as_str().to_owned(),
        },
    }
}

fn json_of(one: &ReviewedRequest) -> Value {
    let request = &one.request;
    let (verdict, rule, reason) = match &one.decision {
        // What is decided is not judged again: the policy, and what is proven, may have changed.
        _ if !request.state.is_open() => match RecordedDecision::of(request) {
            Some(made) => (Some(made.verdict), made.rule, Some(made.reason)),
            None => (None, None, None),
        },
        Some(decision) => (Some(decision.verdict.as_str()), decision.rule.clone(), Some(decision.reason.clone())),
        None => (None, None, None),
    };
    json!({
        "name": request.name,
        "host": request.content.host.as_str(),
        "profile": request.content.profile().policy().name,
        "signerName": request.content.signer.as_str(),
        "state": request.state.as_str(),
        "kind": one.kind.as_str(),
        "created": stamp(request.created),
        "requester": request.requester.username,
        "key": request.content.key().to_string(),
        "verdict": verdict,
        "rule": rule,
        "reason": reason,
        "conditions": request.conditions.iter().map(condition_json).collect::<Vec<_>>(),
    })
}

fn condition_json(condition: &Condition) -> Value {
    json!({
        "type": condition.kind,
        "reason": condition.reason,
        "message": condition.message,
        "at": condition.last_transition.map(stamp),
    })
}

/// Prints what a request asks for, and what it would get.
pub(crate) fn show_request(one: &ReviewedRequest, screen: &mut Screen<'_>) {
    let request = &one.request;
    let asked = request.content.csr.request();
    let line = |name: &str, text: &str| format!("  {name:<10} {}", sanitized(text));
    screen.answer(format_args!("{} ({}, {})", sanitized(&request.name), request.state, one.kind.as_str()));
    let names: Vec<String> = asked.names.iter().map(ToString::to_string).collect();
    screen.answer(line("host", request.content.host.as_str()));
    screen.answer(line("signer", request.content.signer.as_str()));
    screen.answer(line("sent by", &format!("{}, {}", request.requester.username, stamp(request.created))));
    screen.answer(line("key", &format!("{}, SHA-256 {}", asked.key, request.content.key())));
    screen.answer(line("asks for", &format!("{} {}", asked.subject.text, names.join(", "))));
    match &one.inventory {
        Inventory::Granted(spec) => {
            let names: Vec<String> = spec.names.iter().map(ToString::to_string).collect();
            let group = spec.subject.group.as_deref().map(|group| format!(", O={group}")).unwrap_or_default();
            let text = format!("CN={}{group} {} for {}", spec.subject.user, names.join(", "), spec.lifetime);
            screen.answer(line("would get", &text));
        }
        Inventory::Unknown(problem) => screen.answer(line("gets none", &problem.to_string())),
        Inventory::Refused(problems) => {
            problems.iter().for_each(|problem| screen.answer(line("gets none", &problem.to_string())));
        }
    }
    for condition in &request.conditions {
        screen.answer(line(&condition.kind.to_lowercase(), &format!("{}: {}", condition.reason, condition.message)));
    }
    match &one.tally {
        Err(reason) => screen.answer(line("approvals", reason)),
        Ok(tally) => {
            for (name, all) in [("approved", &tally.approved), ("denied", &tally.denied), ("ignored", &tally.ignored)] {
                all.iter().for_each(|text| screen.answer(line(name, text)));
            }
        }
    }
}

/// Prints what the policy decides about a request, rule by rule.
pub(crate) fn show_decision(one: &ReviewedRequest, screen: &mut Screen<'_>) {
    let Some(Decision { verdict, rule, reason, rules }) = &one.decision else { return };
    for trace in rules {
        match &trace.other {
            Some(reason) => screen.answer(format_args!("  rule {}: is not about it, {reason}", trace.name)),
            None => {
                let outcome = if trace.decided { "decides" } else { "does not decide" };
                screen.answer(format_args!("  rule {}: {outcome}", trace.name));
                for requirement in &trace.requirements {
                    let (answer, evidence) = requirement
                        .answer
                        .as_ref()
                        .map_or(("not asked", String::new()), |answer| (answer.as_str(), sanitized(answer.evidence())));
                    screen.answer(
                        format_args!("    {:<15} {answer:<9} {evidence}", requirement.name).to_string().trim_end(),
                    );
                }
            }
        }
    }
    let by = rule.as_ref().map(|rule| format!(" ({rule})")).unwrap_or_default();
    screen.answer(format_args!("  {}{by}: {}", verdict.as_str(), sanitized(reason)));
}

/// Prints that a person's decision was written.
pub(crate) fn show_decided(written: &WrittenDecision, choice: Choice, screen: &mut Screen<'_>) {
    let word = match choice {
        Choice::Approve => "approved",
        Choice::Deny => "denied",
    };
    let name = sanitized(&written.request.name);
    match (written.signed, written.needed) {
        (Some(count), Some(needed)) if choice == Choice::Approve => {
            screen.answer(format_args!("{word}, signed: {name}, {count} of {needed}"));
        }
        (Some(_), _) => screen.answer(format_args!("{word}, signed: {name}")),
        (None, Some(needed)) if choice == Choice::Approve => {
            screen.answer(format_args!("{word}: {name}"));
            screen.warn(format_args!(
                "this does not count: the policy requires {needed} approvals signed with SSH keys (--sign-with)"
            ));
        }
        (None, _) => screen.answer(format_args!("{word}: {name}")),
    }
}

/// Prints the requests about which another policy decides differently.
pub(crate) fn show_replay(all: &[ReplayedRequest], screen: &mut Screen<'_>) {
    let different: Vec<&ReplayedRequest> = all.iter().filter(|one| one.differs()).collect();
    for one in &different {
        let request = &one.before.request;
        let (name, host) = (sanitized(&request.name), &request.content.host);
        let (state, before, after) = (request.state, verdict(&one.before), verdict(&one.after));
        screen.answer(format_args!("{name}  {host}  {state}  {before} → {after}"));
    }
    screen.step(format_args!("{} of {} requests are decided differently", different.len(), all.len()));
}
