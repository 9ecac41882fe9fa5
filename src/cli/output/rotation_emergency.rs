//! A rotation in an emergency, as text and JSON.

use serde_json::json;

use super::phase_plan::document;
use super::rotation::{plan_of, plans};
use crate::app::count::{certificates, counted};
use crate::app::rotate::{EmergencyPlan, EmergencyReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::sanitize::sanitized;
use crate::ui::Screen;

/// Shows what an emergency would change and break.
pub(crate) fn show_plan(plan: &EmergencyPlan, output: OutputFormat, screen: &mut Screen<'_>) {
    if output == OutputFormat::Json {
        let value = json!({
            "role": plan.role.name(), "dryRun": true, "from": null, "plan": plan_of(&plan.plan),
            "revoked": plan.certificates, "accounts": [],
        });
        return screen.answer(format_args!("{:#}", document("emergency", value)));
    }
    screen.answer(plans(std::slice::from_ref(&plan.plan)));
    say_what_breaks(plan, screen);
    screen.step("nothing was changed");
}

/// Warns of what an emergency breaks.
pub(crate) fn say_what_breaks(plan: &EmergencyPlan, screen: &mut Screen<'_>) {
    let (masters, nodes) = plan.hosts;
    for line in [
        format!(
            "hosts are cut off until they have their new bundles: {} and {}",
            counted(masters, "master"),
            counted(nodes, "node")
        ),
        "from the masters' installation to its own, each node is NotReady, and logs, exec and metrics of its pods fail. Its pods \
         keep running; after five minutes, Kubernetes evicts them"
            .to_owned(),
        "kubeconfigs of administrators, approvers, signers and announcers are refused until they are issued again".to_owned(),
        "pods that read ca.crt only when they start refuse the API servers until they are restarted".to_owned(),
        format!("{} of the old root are revoked, which cannot be undone; there is no abort", certificates(plan.certificates)),
    ] {
        screen.warn(line);
    }
}

/// Shows an emergency that began. `revoked` is the number of certificates that were revoked; `None` if that failed.
pub(crate) fn show(report: &EmergencyReport, revoked: Option<usize>, output: OutputFormat, screen: &mut Screen<'_>) {
    let EmergencyReport { role, rotation, from, plan, accounts } = report;
    if output == OutputFormat::Json {
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        let value = json!({
            "role": role.name(), "dryRun": false, "from": from.as_str(), "plan": plan_of(plan), "revoked": revoked,
            "accounts": names,
        });
        return screen.answer(format_args!("{:#}", document("emergency", value)));
    }
    screen.answer(format_args!(
        "{}: phase {} ({}) since {}, in an emergency",
        role.as_str(),
        rotation.phase.number(),
        rotation.phase.as_str(),
        stamp(rotation.began)
    ));
    screen.answer(plans(std::slice::from_ref(plan)));
    if let Some(revoked) = revoked {
        screen.answer(format_args!("revoked  {}", certificates(revoked)));
    }
    for account in accounts {
        screen.answer(format_args!("account  {}, until {}", sanitized(&account.name), stamp(account.not_after)));
    }
    show_next(screen);
}

/// Shows the next steps, in the order that locks an attacker out soonest.
fn show_next(screen: &mut Screen<'_>) {
    for step in [
        "1. back the directory up (clusterctl backup FILE), and pack: clusterctl apply",
        "2. all masters at once, which locks the attacker out: install.sh --replace --restart. Then restart each kube-apiserver that was not \
         restarted: that ends the attacker's open connections",
        "3. prove it: clusterctl verify --phase --masters-only",
        "4. all nodes, as many at a time as you can: install.sh --replace --restart",
        "5. prove and finish it: clusterctl rotate-ca next",
    ] {
        screen.step(step);
    }
}
