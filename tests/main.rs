//! The whole suite as one binary: a module for each command, and one for each property that spans several.

mod accounts;
mod admin;
mod admission;
mod adopting;
mod ansible;
mod applying;
mod authorizers;
mod backup_restore;
mod backups;
mod build_script;
mod bundle;
mod certificates;
mod clocks;
mod cloud_init;
mod cluster_file;
mod cluster_file_commands;
mod cluster_file_errors;
mod control_plane;
mod corpora;
mod crls;
mod delivery;
mod demo;
mod denials;
mod discarded_keys;
mod documentation;
mod durability;
mod encryption;
#[cfg(feature = "server")]
mod enrolment;
#[cfg(feature = "server")]
mod enrolment_api_server;
#[cfg(feature = "server")]
mod enrolment_bearer;
mod enrolment_bootstrap;
#[cfg(feature = "server")]
mod enrolment_connections;
#[cfg(feature = "server")]
mod enrolment_failures;
#[cfg(feature = "server")]
mod enrolment_kubernetes;
#[cfg(feature = "server")]
mod enrolment_records;
#[cfg(feature = "server")]
mod enrolment_server;
#[cfg(feature = "server")]
mod enrolment_signer;
#[cfg(feature = "server")]
mod enrolment_threats;
mod etcd_members;
mod full_disks;
mod generations;
mod html;
mod ignition;
mod import_directories;
mod imported_keys;
mod importing;
mod init;
mod installer;
mod installing;
mod intermediates;
mod interruption;
mod issuing;
#[cfg(feature = "server")]
mod joining;
mod kubeconfigs;
mod kubectl_output;
mod kubelets;
mod kubernetes;
mod ledger;
mod ledger_check;
mod ledger_rebuild;
mod library;
mod lint;
mod log;
mod missing_files;
mod nginx;
mod node_lists;
mod opening;
mod oracle;
mod owners;
mod packages;
mod policy;
mod preflight;
mod prompts;
mod recipients;
mod removing;
mod renewal;
mod renewing;
mod replaying;
mod reports;
mod requests;
mod restarting;
mod revocation;
mod revocation_recovery;
mod revoking;
mod roots;
mod rotating;
mod rotating_aborts;
mod rotating_accounts;
mod rotating_beside;
mod rotating_discarded;
mod rotating_emergency;
mod rotating_etcd;
mod rotating_front_proxy;
mod rotating_interruptions;
mod rotating_kinds;
mod rotating_reports;
mod rotating_restarts;
mod rotating_signers;
mod rotating_status;
mod rotating_token_key;
mod several_cas;
mod shells;
mod show;
mod show_forms;
mod signers;
mod signing;
mod status;
mod structure;
mod style;
mod support;
mod surroundings;
mod targets;
#[cfg(feature = "pkcs11")]
mod tokens;
mod trust;
mod untrusted;
mod usage;
mod verification_cache;
mod verify;
mod verifying;
mod versions;
mod writing;
mod year;
