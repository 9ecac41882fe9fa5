//! The rotation of the key of service accounts, its plans and its phases as text and JSON.

use serde_json::{Value, json};

use super::phase_plan::{BACKUP, DELIVER, FOLLOWING, PRESENT, changes_of, document, restarts_of, steps};
use crate::app::rotate::tokens::{TokenAbortReport, TokenNextReport, TokenPhasePlan, TokenRotationState, TokenTarget};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::pki::fingerprint::Fingerprint;
use crate::pki::token_rotation::{TokenPhase, key_id};
use crate::ui::Screen;
use crate::verify::token_keys::TOKEN_ROLE;

/// Shows a rotation that began.
pub(crate) fn show_start(state: &TokenRotationState, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        return screen.answer(format_args!("{:#}", document("start", json!({ "rotations": [state_of(state)] }))));
    }
    show_state(state, screen);
    screen.step(
        "The new key is only here: back the directory up now (clusterctl backup FILE). Nothing changes for hosts until: \
         clusterctl rotate-ca next --role service-account",
    );
}

/// Shows a rotation that is under way.
pub(super) fn show_state(state: &TokenRotationState, screen: &mut Screen<'_>) {
    let rotation = &state.rotation;
    screen.answer(format_args!(
        "key of service accounts: phase {} ({}) since {}\n  old      {}\n  new      {}",
        rotation.phase.number(),
        rotation.phase.as_str(),
        stamp(rotation.began),
        key_id(rotation.old),
        key_id(rotation.new),
    ));
    screen.answer(match state.proven_since {
        Some(at) => format!("  proven since {}", stamp(at)),
        None => "  not proven yet".to_owned(),
    });
    let first = if rotation.phase == TokenPhase::Prepare { BACKUP } else { DELIVER };
    screen.answer(format_args!("  next     {first}, then clusterctl rotate-ca next --role service-account"));
    screen.answer(format_args!("{PRESENT}\n{}", plans(std::slice::from_ref(&state.present))));
    screen.answer(format_args!("{FOLLOWING}\n{}", plans(&state.next)));
}

/// Shows the phase that began, or that would begin.
pub(crate) fn show_next(report: &TokenNextReport, is_dry_run: bool, output: OutputFormat, screen: &mut Screen<'_>) {
    let TokenNextReport { plan, then } = report;
    if output == OutputFormat::Json {
        let then = then.as_ref().map(plan_of);
        let value = json!({ "role": TOKEN_ROLE, "dryRun": is_dry_run, "plan": plan_of(plan), "then": then });
        return screen.answer(format_args!("{:#}", document("next", value)));
    }
    screen.answer(plans(std::slice::from_ref(plan)));
    screen.step(match (is_dry_run, plan.phase) {
        (true, _) => "nothing was changed",
        (false, TokenTarget::Retire) => "The rotation is over. Nothing has to be delivered",
        (false, TokenTarget::Phase(_)) => {
            "Next: clusterctl apply, then install.sh on the masters, and the restarts above; then clusterctl rotate-ca next \
             --role service-account"
        }
    });
}

/// Shows a rotation that was aborted.
pub(crate) fn show_abort(report: &TokenAbortReport, output: OutputFormat, screen: &mut Screen<'_>) {
    let TokenAbortReport { phase, needs_delivery } = report;
    if output == OutputFormat::Json {
        let none: [&str; 0] = [];
        let value = json!({
            "role": TOKEN_ROLE, "phase": phase.as_str(), "restored": none, "isOver": true, "needsDelivery": needs_delivery,
        });
        return screen.answer(format_args!("{:#}", document("abort", value)));
    }
    screen.step("the rotation of the key of service accounts was aborted; the new key is deleted");
    if *needs_delivery {
        screen.step("Next: clusterctl apply, and install.sh on the masters");
    }
}

/// Returns a rotation as JSON.
pub(super) fn state_of(state: &TokenRotationState) -> Value {
    let key = |key: Fingerprint| json!({ "keyId": key_id(key), "sha256": key.to_string() });
    let rotation = &state.rotation;
    json!({
        "role": TOKEN_ROLE,
        "phase": rotation.phase.as_str(),
        "number": rotation.phase.number(),
        "began": stamp(rotation.began),
        "provenSince": state.proven_since.map(stamp),
        "canAbort": rotation.phase.can_abort(),
        "old": key(rotation.old),
        "new": key(rotation.new),
        "present": plan_of(&state.present),
        "next": state.next.iter().map(plan_of).collect::<Vec<_>>(),
    })
}

fn plan_of(plan: &TokenPhasePlan) -> Value {
    json!({
        "phase": plan.phase.as_str(),
        "number": plan.phase.number(),
        "kubernetesVersion": null,
        "changes": changes_of(&plan.changes),
        "restarts": restarts_of(&plan.restarts),
        "waitSeconds": plan.wait,
        "gate": plan.gate,
    })
}

fn plans(plans: &[TokenPhasePlan]) -> String {
    let mut text = String::new();
    for plan in plans {
        text.push_str(&format!("phase {} ({}): {}\n", plan.phase.number(), plan.phase.as_str(), purpose(plan.phase)));
        text.push_str(&steps(&plan.changes, &plan.restarts));
        match plan.phase {
            TokenTarget::Phase(TokenPhase::Sign) => text.push_str(&format!(
                "  wait     {} days after it is proven: as long as tokens of pods may last\n",
                plan.wait / 86_400
            )),
            _ if plan.wait > 0 => text.push_str(&format!(
                "  wait     {} s after it is proven: as long as others keep the keys that API servers publish\n",
                plan.wait
            )),
            _ => {}
        }
        if !plan.gate.is_empty() {
            text.push_str(&format!("  proof    {}\n", plan.gate.join(", ")));
        }
    }
    text.trim_end().to_owned()
}

fn purpose(phase: TokenTarget) -> &'static str {
    match phase {
        TokenTarget::Phase(TokenPhase::Prepare) => "the new key exists, and no host has it",
        TokenTarget::Phase(TokenPhase::Add) => "API servers accept tokens of both keys",
        TokenTarget::Phase(TokenPhase::Sign) => "the new key signs",
        TokenTarget::Phase(TokenPhase::Drop) => "API servers accept only tokens of the new key",
        TokenTarget::Retire => "the old key is deleted or kept",
    }
}
