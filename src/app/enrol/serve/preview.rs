//! The answer to a dry run: what the policy would decide about the request.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::enrol::judge::Judge;
use crate::app::env::Env;
use crate::enrol::policy::{Decision, RequirementTrace, RuleTrace};
use crate::enrol::request::{EnrolmentRequest, RequestContent, Requester, State};
use crate::store::layout::Layout;

/// Returns which rule of the policy would decide about a request, and why. Programs and services are not asked. `None` if
/// the directory has no ledger, or cannot be read now.
pub(super) fn of(
    layout: &Layout,
    content: &RequestContent,
    requester: &Requester,
    now: OffsetDateTime,
) -> Option<Value> {
    let env = Env { layout: layout.clone(), now, actor: "serve ca".to_owned() };
    let judge = Judge::open(&env).ok()?;
    let request = EnrolmentRequest {
        name: String::new(),
        uid: String::new(),
        resource_version: String::new(),
        annotations: BTreeMap::new(),
        created: now,
        content: content.clone(),
        requester: requester.clone(),
        state: State::Pending,
        conditions: Vec::new(),
        certificate: Vec::new(),
    };
    let decision = judge.prepare(&request).ok()?.decide_alone();
    Some(match decision {
        Some(decision) => of_decision(&decision),
        None => json!({"verdict": null, "rule": null, "reason": "a program or a service would be asked", "rules": []}),
    })
}

fn of_decision(decision: &Decision) -> Value {
    json!({
        "verdict": decision.verdict.as_str(),
        "rule": decision.rule,
        "reason": decision.reason,
        "rules": decision.rules.iter().map(of_rule).collect::<Vec<_>>(),
    })
}

fn of_rule(rule: &RuleTrace) -> Value {
    let requirement = |one: &RequirementTrace| {
        let answer = one.answer.as_ref();
        json!({
            "name": one.name,
            "answer": answer.map_or("not asked", |answer| answer.as_str()),
            "evidence": answer.map(|answer| answer.evidence()),
        })
    };
    json!({
        "name": rule.name,
        "isAboutAnother": rule.other,
        "decides": rule.decided,
        "requirements": rule.requirements.iter().map(requirement).collect::<Vec<_>>(),
    })
}
