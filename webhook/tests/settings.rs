//! Reloading the settings file in a running server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use webhook::cluster::known::Known;
use webhook::settings::SettingsArgs;
use webhook::settings::current::Current;
use webhook::settings::current::keep;

use crate::common::World;
use crate::common::eventually;
use crate::common::good_review;
use crate::common::post;
use crate::common::world_that_knows;

/// A server whose settings come only from this file.
async fn world(file: &Path) -> anyhow::Result<World> {
    let args = SettingsArgs {
        config: Some(file.to_owned()),
        ..SettingsArgs::default()
    };
    let settings = Current::new(args.clone().load()?);
    let kept = keep(Arc::clone(&settings), args, Duration::from_millis(10));
    tokio::spawn(kept);
    let known = Known {
        settings,
        ..Known::only(inject::Settings::new("unused"))
    };
    world_that_knows(known).await
}

/// Whether a Pod gets this image now.
async fn injects(world: &World, image: &str) -> anyhow::Result<bool> {
    let mut client = world.client().await?;
    let patch = post(&mut client, good_review()).await?.patch()?;
    Ok(patch.contains(&format!("\"image\":\"{image}\"")))
}

async fn text(world: &World, path: &str) -> anyhow::Result<String> {
    let answered = world.admin(path).await?;
    assert!(answered.status.is_success(), "{path}: {}", answered.status);
    Ok(String::from_utf8(answered.body.to_vec())?)
}

async fn metric(world: &World, sample: &str) -> anyhow::Result<Option<u64>> {
    let text = text(world, "/metrics").await?;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("gitvolume_webhook_{sample} ")));
    Ok(value.map(str::parse).transpose()?)
}

#[tokio::test]
async fn a_changed_file_applies_to_the_next_pod_and_an_invalid_one_is_ignored() -> anyhow::Result<()>
{
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("settings.yaml");
    std::fs::write(&file, "image: first:1\n")?;
    let world = world(&file).await?;
    assert!(injects(&world, "first:1").await?);
    assert_eq!(metric(&world, "config_valid").await?, Some(1));

    std::fs::write(&file, "image: second:1\n")?;
    eventually!(injects(&world, "second:1").await?);
    let accepted = "config_reloads_total{outcome=\"accepted\"}";
    assert_eq!(metric(&world, accepted).await?, Some(1));

    std::fs::write(&file, "image: third:1\nonMistakes: warn\n")?;
    eventually!(metric(&world, "config_valid").await? == Some(0));
    let rejected = "config_reloads_total{outcome=\"rejected\"}";
    assert_eq!(metric(&world, rejected).await?, Some(1));
    assert!(injects(&world, "second:1").await?, "the old ones stay");
    let ready = text(&world, "/readyz").await?;
    let expected = "\nwarning: the previous settings stay in force: the settings cannot be used: \
                    unknown field `onMistakes`";
    assert!(
        ready.starts_with("ok\n") && ready.contains(expected),
        "{ready}"
    );

    std::fs::remove_file(&file)?;
    let gone = "cannot read --config";
    eventually!(text(&world, "/readyz").await?.contains(gone));
    assert_eq!(metric(&world, rejected).await?, Some(2));

    std::fs::write(&file, "image: second:1\n")?;
    let old = "the previous settings stay in force";
    eventually!(!text(&world, "/readyz").await?.contains(old));
    assert_eq!(metric(&world, "config_valid").await?, Some(1));
    assert_eq!(metric(&world, accepted).await?, Some(1), "nothing new");
    Ok(())
}

#[tokio::test]
async fn a_config_map_that_the_kubelet_swaps_is_reloaded() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    for (version, settings) in [("..1", "image: first:1\n"), ("..2", "image: second:1\n")] {
        std::fs::create_dir(at(version))?;
        std::fs::write(at(version).join("settings.yaml"), settings)?;
    }
    std::os::unix::fs::symlink("..1", at("..data"))?;
    std::os::unix::fs::symlink("..data/settings.yaml", at("settings.yaml"))?;
    let world = world(&at("settings.yaml")).await?;
    let hash = |image: &str| {
        let hash = inject::Settings::new(image).hash();
        format!("config_info{{hash=\"{hash}\"}}")
    };
    assert_eq!(metric(&world, &hash("first:1")).await?, Some(1));

    std::os::unix::fs::symlink("..2", at("..data_tmp"))?;
    std::fs::rename(at("..data_tmp"), at("..data"))?;
    eventually!(injects(&world, "second:1").await?);
    assert_eq!(metric(&world, &hash("second:1")).await?, Some(1));
    assert_eq!(metric(&world, &hash("first:1")).await?, None);
    Ok(())
}
