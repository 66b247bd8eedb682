//! The CRDs are generated from the table of annotations: `make goldens` writes the files of the
//! chart.

use std::fs;
use std::path::Path;

use inject::Kind;
use inject::custom_resource_definition;
use serde_json::Value;

use crate::pods::is_update;

const HEADER: &str = "\
# Written from the table in webhook/inject/src/keys/table.rs and the schema in
# webhook/inject/src/objects/schema.rs by `make goldens`; edit those.
";

#[test]
fn the_charts_crds_are_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/gitvolume/files/crds");
    for (kind, file) in [
        (Kind::GitVolume, "gitvolumes.yaml"),
        (Kind::ClusterGitVolume, "clustergitvolumes.yaml"),
    ] {
        let definition = custom_resource_definition(kind);
        let file = dir.join(file);
        if is_update() {
            fs::create_dir_all(&dir).unwrap();
            let text = serde_saphyr::to_string(&definition).unwrap();
            fs::write(&file, format!("{HEADER}{text}")).unwrap();
        }
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let golden: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(
            golden,
            definition,
            "{} is not what comes out (UPDATE_GOLDENS=1 writes it)",
            file.display()
        );
    }
}
