//! Hosts with the same results are one row or column.

use std::collections::HashMap;
use std::hash::Hash;

use crate::verify::finding::Status;

/// Hosts with the same results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Alike<'a, T> {
    pub(super) hosts: Vec<&'a str>,
    pub(super) results: T,
}

/// Groups hosts with the same results, in the order of the first of each; each host alone where they are at most `few`.
pub(super) fn alike<'a, T: Eq + Hash + Clone>(hosts: Vec<(&'a str, T)>, few: usize) -> Vec<Alike<'a, T>> {
    if hosts.len() <= few {
        return hosts.into_iter().map(|(host, results)| Alike { hosts: vec![host], results }).collect();
    }
    let mut groups: Vec<Alike<'a, T>> = Vec::new();
    let mut known: HashMap<T, usize> = HashMap::new();
    for (host, results) in hosts {
        let at = *known.entry(results.clone()).or_insert_with(|| {
            groups.push(Alike { hosts: Vec::new(), results });
            groups.len() - 1
        });
        groups[at].hosts.push(host);
    }
    groups
}

/// Merges all groups after the first `most` into one with the worst of their results.
pub(super) fn at_most(
    mut groups: Vec<Alike<'_, Vec<Option<Status>>>>,
    most: usize,
) -> Vec<Alike<'_, Vec<Option<Status>>>> {
    while groups.len() > most.max(1) {
        let Some(last) = groups.pop() else { break };
        let Some(into) = groups.get_mut(most.max(1) - 1) else { break };
        into.hosts.extend(last.hosts);
        for (worst, other) in into.results.iter_mut().zip(last.results) {
            *worst = (*worst).max(other);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_hosts_are_one_group_unless_they_are_few() {
        let hosts = || vec![("a", 1), ("b", 2), ("c", 1)];
        let names = |groups: Vec<Alike<'static, i32>>| groups.into_iter().map(|one| one.hosts).collect::<Vec<_>>();
        assert_eq!(names(alike(hosts(), 2)), [vec!["a", "c"], vec!["b"]]);
        assert_eq!(names(alike(hosts(), 3)), [["a"], ["b"], ["c"]]);
    }

    #[test]
    fn groups_that_are_too_many_are_merged_with_their_worst_result() {
        let of = |status| vec![Some(status)];
        let hosts = vec![("a", of(Status::Pass)), ("b", of(Status::Warn)), ("c", of(Status::Fail)), ("d", vec![None])];
        let groups = at_most(alike(hosts, 0), 2);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].hosts.as_slice(), &groups[0].results), (&["a"][..], &of(Status::Pass)));
        assert_eq!((groups[1].hosts.len(), &groups[1].results), (3, &of(Status::Fail)));
    }
}
