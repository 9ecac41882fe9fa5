//! Finds nodes by their names without comparing each.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of searches through all nodes before an order by name is worth its memory.
const SEARCHES: u32 = 16;

/// The order of nodes by name. It is made when it is needed, and changes no result.
#[derive(Debug, Default)]
pub(super) struct NodeIndex {
    searches: AtomicU32,
    order: OnceLock<Vec<u32>>,
}

impl Clone for NodeIndex {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for NodeIndex {
    /// Returns true: it follows from the nodes.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for NodeIndex {}

impl NodeIndex {
    /// Returns the node with a name.
    pub(super) fn find<'n, N>(&self, nodes: &'n [N], name_of: fn(&N) -> &str, name: &str) -> Option<&'n N> {
        let search = || nodes.iter().find(|node| name_of(node) == name);
        if self.order.get().is_none() && self.searches.fetch_add(1, Ordering::Relaxed) < SEARCHES {
            return search();
        }
        let name_at = |at: u32| nodes.get(at as usize).map_or("", name_of);
        let order = self.order.get_or_init(|| {
            let mut order: Vec<u32> = (0..nodes.len()).filter_map(|at| u32::try_from(at).ok()).collect();
            order.sort_by(|one, other| name_at(*one).cmp(name_at(*other)));
            order
        });
        let found = order.binary_search_by(|at| name_at(*at).cmp(name)).ok();
        let found = found.and_then(|at| nodes.get(*order.get(at)? as usize)).filter(|node| name_of(node) == name);
        // The nodes may have changed since then.
        found.or_else(search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_search_finds_the_same_node() {
        let index = NodeIndex::default();
        let mut nodes: Vec<String> = ["b", "a", "d", "c"].map(str::to_owned).to_vec();
        for _ in 0..2 * SEARCHES {
            let found: Vec<Option<&String>> =
                ["a", "b", "c", "d", "e"].iter().map(|name| index.find(&nodes, String::as_str, name)).collect();
            assert_eq!(found, [Some(&nodes[1]), Some(&nodes[0]), Some(&nodes[3]), Some(&nodes[2]), None]);
        }
        nodes.remove(0);
        nodes.push("e".to_owned());
        assert_eq!(index.find(&nodes, String::as_str, "e"), Some(&nodes[3]), "the nodes changed");
        assert_eq!(index.find(&nodes, String::as_str, "b"), None);
    }
}
