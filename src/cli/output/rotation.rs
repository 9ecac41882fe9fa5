//! Rotations, their plans and their phases as text and JSON.

use serde_json::{Value, json};

use super::phase_plan::{BACKUP, DELIVER, FOLLOWING, PRESENT, changes_of, document, restarts_of, steps};
use super::token_rotation;
use crate::app::rotate::tokens::TokenRotationState;
use crate::app::rotate::{
    AbortReport, FailedProof, NextReport, PhasePlan, RotatedCa, RotationState, StartReport, Target,
};
use crate::app::status::RotationSummary;
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
use crate::pki::rotation::{Phase, Rotation};
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows a rotation that began.
pub(crate) fn show_start(report: &StartReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let StartReport { role, rotation, old, new, next, .. } = report;
    if output == OutputFormat::Json {
        let mut value = state_of(role.name(), rotation, (old, new), next);
        value["present"] = plan_of(&report.present);
        return screen.answer(format_args!("{:#}", document("start", json!({ "rotations": [value] }))));
    }
    screen.answer(header(role.as_str(), rotation, (old, new)));
    screen.answer(plans(next));
    screen.step(format_args!(
        "The new CA is only here: back the directory up now (clusterctl backup FILE). Nothing changes for hosts until: \
         clusterctl rotate-ca next{}",
        flag(*role)
    ));
}

/// Shows the rotations that are under way.
pub(crate) fn show_states(
    states: &[RotationState],
    tokens: Option<&TokenRotationState>,
    output: OutputFormat,
    screen: &mut Screen<'_>,
) {
    if output == OutputFormat::Json {
        let state = |one: &RotationState| {
            let mut value = state_of(one.role.name(), &one.rotation, (&one.old, &one.new), &one.next);
            let mut phase = phase_json(&one.into());
            for field in ["provenSince", "behind", "aborting"] {
                value[field] = phase[field].take();
            }
            value["present"] = plan_of(&one.present);
            value
        };
        let rotations: Vec<Value> = states.iter().map(state).chain(tokens.map(token_rotation::state_of)).collect();
        return screen.answer(format_args!("{:#}", document("status", json!({ "rotations": rotations }))));
    }
    if states.is_empty() && tokens.is_none() {
        return screen.answer("no CA is being rotated");
    }
    for state in states {
        screen.answer(header(state.role.as_str(), &state.rotation, (&state.old, &state.new)));
        screen.answer(match state.proven_since {
            Some(at) => format!("  proven since {}", stamp(at)),
            None => "  not proven yet".to_owned(),
        });
        if let Some(failed) = &state.failed {
            screen.answer(format_args!("  behind   at {}: {}", stamp(failed.at), hosts_behind(failed)));
        }
        screen.answer(format_args!("  next     {}", next_step(state)));
        screen.answer(format_args!("{PRESENT}\n{}", plans(std::slice::from_ref(&state.present))));
        screen.answer(format_args!("{FOLLOWING}\n{}", plans(&state.next)));
    }
    if let Some(tokens) = tokens {
        token_rotation::show_state(tokens, screen);
    }
}

/// Returns what has to be done next for a rotation.
fn next_step(state: &RotationState) -> String {
    let flag = flag(state.role);
    if state.is_aborting {
        return format!(
            "going back: {DELIVER}, then clusterctl rotate-ca abort{flag} again   (or forward again: clusterctl rotate-ca next{flag} \
             --resume)"
        );
    }
    let first = if state.rotation.phase == Phase::Prepare { BACKUP } else { DELIVER };
    format!("{first}, then clusterctl rotate-ca next{flag}")
}

/// Shows the phase that began, or that would begin.
pub(crate) fn show_next(report: &NextReport, is_dry_run: bool, output: OutputFormat, screen: &mut Screen<'_>) {
    let NextReport { role, plan, then } = report;
    if output == OutputFormat::Json {
        let then = then.as_ref().map(plan_of);
        let value = json!({ "role": role.name(), "dryRun": is_dry_run, "plan": plan_of(plan), "then": then });
        return screen.answer(format_args!("{:#}", document("next", value)));
    }
    screen.answer(plans(std::slice::from_ref(plan)));
    screen.step(match (is_dry_run, plan.phase) {
        (true, _) => "nothing was changed".to_owned(),
        (false, Target::Retire) => "The rotation is over. Nothing has to be delivered".to_owned(),
        (false, _) => format!(
            "Next: clusterctl apply, then install.sh on the hosts that it names, and the restarts above; then clusterctl \
             rotate-ca next{}",
            flag(*role)
        ),
    });
}

/// Shows a rotation that was aborted, or is being aborted.
pub(crate) fn show_abort(report: &AbortReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let AbortReport { role, phase, restored, is_over, needs_delivery } = report;
    if output == OutputFormat::Json {
        let phase = phase.map(Phase::as_str);
        let value = json!({
            "role": role.name(), "phase": phase, "restored": restored, "isOver": is_over, "needsDelivery": needs_delivery,
        });
        return screen.answer(format_args!("{:#}", document("abort", value)));
    }
    for folder in restored {
        screen.answer(format_args!("restored pki/{}", sanitized(folder)));
    }
    screen.step(match is_over {
        true => format!("the rotation of the {} was aborted; the key of the new CA is deleted", role.as_str()),
        false => {
            format!("hosts get their certificates of the old {} back, and trust both roots until then", role.as_str())
        }
    });
    if *needs_delivery {
        screen.step(match is_over {
            true => "Next: clusterctl apply, and install.sh on the hosts that it names".to_owned(),
            false => format!(
                "Next: clusterctl apply, install.sh on the hosts that it names, then clusterctl rotate-ca abort{} again",
                flag(*role)
            ),
        });
    }
}

/// Returns the flag that names a role, with a space before it; nothing for the role that is the default.
fn flag(role: CaRole) -> String {
    if role == CaRole::Cluster { String::new() } else { format!(" --role {}", role.name()) }
}

fn state_of(role: &str, rotation: &Rotation, (old, new): (&RotatedCa, &RotatedCa), next: &[PhasePlan]) -> Value {
    let ca = |ca: &RotatedCa| {
        json!({
            "subject": ca.subject, "sha256": ca.fingerprint.to_string(), "pin": ca.pin.as_pin(),
            "expires": stamp(ca.not_after),
        })
    };
    json!({
        "role": role,
        "phase": rotation.phase.as_str(),
        "number": rotation.phase.number(),
        "began": stamp(rotation.began),
        "provenSince": null,
        "behind": null,
        "aborting": false,
        "canAbort": rotation.phase.can_abort(),
        "canaries": rotation.canaries,
        "old": ca(old),
        "new": ca(new),
        "next": next.iter().map(plan_of).collect::<Vec<_>>(),
    })
}

pub(super) fn plan_of(plan: &PhasePlan) -> Value {
    json!({
        "phase": plan.phase.as_str(),
        "number": plan.phase.number(),
        "kubernetesVersion": plan.version,
        "changes": changes_of(&plan.changes),
        "restarts": restarts_of(&plan.restarts),
        "waitSeconds": plan.wait,
        "gate": plan.gate,
    })
}

/// Returns one sentence about a rotation: its phase, since when, and which hosts are behind.
pub(super) fn line(state: &RotationSummary) -> String {
    let ((number, phase), began) = (state.phase, stamp(state.began));
    let proof = match (&state.proven_since, &state.failed) {
        (Some(at), _) => format!("proven since {}", stamp(*at)),
        (None, Some(failed)) => format!("behind at {}: {}", stamp(failed.at), hosts_behind(failed)),
        (None, None) => "not proven yet".to_owned(),
    };
    let back = if state.is_aborting { ", being aborted" } else { "" };
    format!("rotation of the {}: phase {number} ({phase}) since {began}{back}, {proof}", state.title)
}

/// Returns the hosts that were behind.
pub(super) fn hosts_behind(failed: &FailedProof) -> String {
    let named = failed.behind.iter().map(|host| sanitized(host)).collect::<Vec<_>>().join(", ");
    if failed.more > 0 { format!("{named} and {} more", failed.more) } else { named }
}

/// Returns the phase of a rotation as JSON, without its plans.
pub(super) fn phase_json(state: &RotationSummary) -> Value {
    let failed = |failed: &FailedProof| {
        let hosts: Vec<String> = failed.behind.iter().map(|host| sanitized(host)).collect();
        json!({ "at": stamp(failed.at), "hosts": hosts, "more": failed.more })
    };
    json!({
        "role": state.role,
        "phase": state.phase.1,
        "number": state.phase.0,
        "began": stamp(state.began),
        "provenSince": state.proven_since.map(stamp),
        "behind": state.failed.as_ref().map(failed),
        "aborting": state.is_aborting,
    })
}

fn header(role: &str, rotation: &Rotation, (old, new): (&RotatedCa, &RotatedCa)) -> String {
    let ca = |ca: &RotatedCa| {
        format!("{}, {}, valid until {}", sanitized(&ca.subject), ca.pin.as_pin(), stamp(ca.not_after))
    };
    format!(
        "{role}: phase {} ({}) since {}\n  old      {}\n  new      {}\n  canaries {}",
        rotation.phase.number(),
        rotation.phase.as_str(),
        stamp(rotation.began),
        ca(old),
        ca(new),
        rotation.canaries.join(", "),
    )
}

pub(super) fn plans(plans: &[PhasePlan]) -> String {
    let mut text = String::new();
    if plans.iter().all(|plan| plan.version.is_none()) {
        text.push_str("kubernetes.version is not in cluster.yaml: every restart that any version needs is listed\n");
    }
    for plan in plans {
        text.push_str(&format!("phase {} ({}): {}\n", plan.phase.number(), plan.phase.as_str(), purpose(plan.phase)));
        text.push_str(&steps(&plan.changes, &plan.restarts));
        if plan.wait > 0 {
            text.push_str(&format!("  wait     {} s after it is proven\n", plan.wait));
        }
        if !plan.gate.is_empty() {
            text.push_str(&format!("  proof    {}\n", plan.gate.join(", ")));
        }
    }
    text.trim_end().to_owned()
}

fn purpose(phase: Target) -> &'static str {
    match phase {
        Target::Phase(Phase::Prepare) => "the new CA exists, and no host has it",
        Target::Phase(Phase::TrustBoth) => "all hosts trust both roots",
        Target::Phase(Phase::Canary) => "some hosts present certificates issued by the new CA",
        Target::Phase(Phase::Servers) => "all servers present certificates issued by the new CA",
        Target::Phase(Phase::Clients) => "all clients present certificates issued by the new CA",
        Target::Phase(Phase::DropOld) => "all hosts trust only the new root",
        Target::Retire => "the old CA is retired, and its key deleted or kept",
    }
}
