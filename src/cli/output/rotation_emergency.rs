//! A rotation in an emergency, as text and JSON.

use serde_json::json;

use super::phase_plan::document;
use super::rotation::{plan_of, plans};
use crate::app::count::{certificates, counted};
use crate::app::rotate::{EmergencyPlan, EmergencyReport};
use crate::cli::args::output::OutputFormat;
use crate::cluster::duration::stamp;
use crate::cluster::profile::CaRole;
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
    let of_role: Vec<String> = match plan.role {
        CaRole::Cluster => vec![
            format!(
                "hosts are cut off until they have their new bundles: {} and {}",
                counted(masters, "master"),
                counted(nodes, "node")
            ),
            "from the masters' installation to its own, each node is NotReady, and logs, exec and metrics of its pods fail. Its \
             pods keep running; after five minutes, Kubernetes evicts them"
                .to_owned(),
            "kubeconfigs of administrators, approvers, signers and announcers are refused until they are issued again".to_owned(),
            "pods that read ca.crt only when they start refuse the API servers until they are restarted".to_owned(),
        ],
        CaRole::Etcd => vec![
            format!(
                "members with the new root and members with the old one refuse each other: from the first restart on, etcd has no \
                 quorum until most of {} have their new bundles and were restarted",
                counted(masters, "master")
            ),
            "without etcd, API servers answer nothing. Pods keep running".to_owned(),
        ],
        CaRole::FrontProxy => vec![
            format!(
                "until {} have their new bundles, API servers believe the attacker, and not each other",
                counted(masters, "master")
            ),
            "extension API servers, such as metrics-server, refuse API servers until they have read the new root".to_owned(),
        ],
    };
    let last = match plan.certificates {
        0 => "there is no abort".to_owned(),
        count => {
            format!("{} of the old root are revoked, which cannot be undone; there is no abort", certificates(count))
        }
    };
    for line in of_role.into_iter().chain([last]) {
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
    show_next(*role, screen);
}

/// Shows the next steps, in the order that locks an attacker out soonest.
fn show_next(role: CaRole, screen: &mut Screen<'_>) {
    let steps: &[&str] = match role {
        CaRole::Cluster => &[
            "all masters at once, which locks the attacker out: install.sh --replace --restart. Then restart each kube-apiserver that was not \
             restarted: it ends the attacker's open connections",
            "prove it: clusterctl verify --phase --role cluster --masters-only",
            "all nodes, as many at a time as you can: install.sh --replace --restart. Then restart each kubelet that was not \
             restarted: its node is NotReady until it has read the root again, within five minutes",
            "prove and finish it: clusterctl rotate-ca next",
        ],
        CaRole::Etcd => &[
            "all masters at once, which locks the attacker out: install.sh --restart. A member is ready only when most of them are \
             restarted",
            "prove it: clusterctl verify --phase --role etcd --masters-only",
            "prove and finish it: clusterctl rotate-ca next --role etcd",
        ],
        CaRole::FrontProxy => &[
            "all masters at once: install.sh. API servers read the files again within a minute",
            "lock the attacker out of extension API servers: kubectl -n kube-system delete configmap \
             extension-apiserver-authentication, then restart those that do not read it again",
            "prove it: clusterctl verify --phase --role front-proxy --masters-only",
            "prove and finish it: clusterctl rotate-ca next --role front-proxy",
        ],
    };
    let first = "back the directory up (clusterctl backup FILE), and pack: clusterctl apply";
    for (number, step) in (1..).zip([first].iter().chain(steps)) {
        screen.step(format_args!("{number}. {step}"));
    }
}
