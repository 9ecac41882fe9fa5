//! Packs bundles through the library, for tests of its reports and errors.

use clusterctl::app::package::encryption::Encryption;
use clusterctl::app::package::{PackageError, PackageOptions, PackageReport, Packager, Selection, Warning, versions};
use clusterctl::app::{self, Env, Silent, directory};
use clusterctl::bundle::format::Format;
use clusterctl::cluster::spec::Cluster;
use clusterctl::store::layout::Layout;

use super::Lab;

/// The environment of a laboratory's use cases.
pub(crate) fn env(lab: &Lab) -> Env {
    Env { layout: Layout::new(lab.dir().to_owned()), now: lab.now, actor: "admin@laptop".to_owned() }
}

/// A laboratory's cluster file.
pub(crate) fn cluster(lab: &Lab) -> Cluster {
    directory::cluster(&Layout::new(lab.dir().to_owned())).expect("a cluster file")
}

/// Packs hosts, or all if none is given, after `change` modified the default options.
pub(crate) fn package_with(
    lab: &Lab,
    hosts: &[&str],
    change: impl for<'c> FnOnce(&'c Cluster, &mut PackageOptions<'c>) -> Result<(), PackageError>,
) -> Result<PackageReport, PackageError> {
    let packager = Packager { env: env(lab), cluster: cluster(lab) };
    let cluster = &packager.cluster;
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let hosts = if names.is_empty() { Selection::all(cluster) } else { Selection::named(cluster, &names)? };
    let mut options = PackageOptions {
        hosts,
        format: Format::TarGz,
        templates: None,
        settings: versions::settings(cluster, &[], false)?,
        overrides_versions: false,
        encryption: Encryption::None { requested: false },
        signing_key: None,
        discard_keys: false,
    };
    change(cluster, &mut options)?;
    let plan = packager.plan(options, &mut Silent).map_err(of_packing)?;
    plan.apply(&mut Silent).map_err(of_packing)
}

/// Packs hosts, or all if none is given, with the default options.
pub(crate) fn package(lab: &Lab, hosts: &[&str]) -> Result<PackageReport, PackageError> {
    package_with(lab, hosts, |_, _| Ok(()))
}

/// Packs hosts with other versions, and returns the warnings.
pub(crate) fn warnings_with(lab: &Lab, hosts: &[&str], overrides: &[&str]) -> Vec<Warning> {
    let overrides: Vec<String> = overrides.iter().map(|one| (*one).to_owned()).collect();
    let report = package_with(lab, hosts, |cluster, options| {
        options.settings = versions::settings(cluster, &overrides, false)?;
        options.overrides_versions = !overrides.is_empty();
        Ok(())
    });
    report.expect("bundles").warnings
}

/// Packs hosts, and returns the warnings.
pub(crate) fn warnings(lab: &Lab, hosts: &[&str]) -> Vec<Warning> {
    warnings_with(lab, hosts, &[])
}

/// Returns the warnings of a plan to pack all hosts with other versions.
pub(crate) fn planned_warnings(lab: &Lab, overrides: &[&str]) -> Vec<Warning> {
    let overrides: Vec<String> = overrides.iter().map(|one| (*one).to_owned()).collect();
    let (env, cluster) = (env(lab), cluster(lab));
    let options = PackageOptions {
        hosts: Selection::all(&cluster),
        format: Format::TarGz,
        templates: None,
        settings: versions::settings(&cluster, &overrides, false).expect("versions"),
        overrides_versions: !overrides.is_empty(),
        encryption: Encryption::None { requested: false },
        signing_key: None,
        discard_keys: false,
    };
    let plan = app::apply::plan(options, Vec::new(), &cluster, &env, &mut Silent).expect("a plan");
    plan.changes().warnings.clone()
}

fn of_packing(error: app::Error) -> PackageError {
    match error {
        app::Error::Package(error) => error,
        other => panic!("not an error of packing: {other:?}"),
    }
}
