//! The pull-through cache between many followers and one git host. The followers are connections of
//! this process, which send the requests of a syncer; the cache and the git host are real.

mod arrival;
mod follower;
mod packs;
mod waiting;
mod world;

use anyhow::Result;

use crate::peers::Peers;
use crate::targets::Targets;

/// Measures, and prints the table. The peers have no cache.
pub(crate) fn print(_peers: &Peers) -> Result<()> {
    println!("\n## cache\n");
    let mut targets = Targets::new("the cache of one private repository", "without");
    waiting::measure(&mut targets)?;
    packs::measure(&mut targets)?;
    println!();
    targets.print();
    Ok(())
}
