//! Where the component of a service comes from: a build, or an image, and when that is fetched.
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Context;
use crate::model::{At, BuildModel, ServiceModel, milliseconds};
use crate::place::{Error, Place, Result};
use crate::project::{Build, Flavour, Pull, Source};
use crate::suggest::hint;

impl Context<'_> {
    pub(super) fn source(&mut self, key: &str, model: &ServiceModel, at: &Place) -> Result<Source> {
        let image = model.image.as_ref().filter(|image| !image.value.is_empty());
        let always = model.pull_policy.as_ref().is_some_and(|policy| policy.value == "build");
        match (&model.build, image) {
            (Some(build), image) if self.flavour == Flavour::Compose => {
                let folder = build.value.context.clone().map_or_else(|| self.loaded.folder.clone(), PathBuf::from);
                if folder.display().to_string().contains("://") {
                    return Err(Error::at(&build.at, "a build takes a folder of this machine; fetch the sources first"));
                }
                Ok(Source::Build(Build {
                    folder,
                    args: self.build_args(&build.value),
                    image: image.map(|image| image.value.clone()),
                    always,
                    at: build.at.clone(),
                }))
            }
            (Some(build), Some(image)) => {
                self.warn(&build.at, "a stack builds nothing: its image is taken; build and push it first");
                Ok(Source::Image(image.value.clone()))
            }
            (None, Some(image)) => Ok(Source::Image(image.value.clone())),
            (Some(build), None) => Err(Error::at(
                &build.at,
                format!("a stack builds nothing, and service '{key}' has no image; build and push it, then name it with image"),
            )),
            (None, None) => Err(Error::at(at, format!("service '{key}' has neither image nor build; give it one"))),
        }
    }

    /// One without a value has that of the user's variable; it is left out where there is none.
    fn build_args(&self, model: &BuildModel) -> BTreeMap<String, String> {
        let value = |(name, value): (&String, &Option<String>)| Some((name.clone(), value.clone().or_else(|| self.lookup(name))?));
        model.args.0.iter().filter_map(value).collect()
    }
}

pub(super) fn pull(model: &ServiceModel) -> Result<Option<Pull>> {
    let known = ["always", "missing", "if_not_present", "never", "build", "daily", "weekly"];
    let Some(At { value: policy, at }) = &model.pull_policy else { return Ok(None) };
    match policy.as_str() {
        "always" => Ok(Some(Pull::Always)),
        "missing" | "if_not_present" => Ok(Some(Pull::Missing)),
        "never" => Ok(Some(Pull::Never)),
        // The registry is asked each time, which costs little.
        "" | "build" | "daily" | "weekly" => Ok(None),
        every if every.strip_prefix("every_").is_some_and(|time| milliseconds(time).is_ok()) => Ok(None),
        other => {
            let hint = hint(other, known);
            let hint = if hint.is_empty() { format!("; there are {}", known.join(", ")) } else { hint };
            Err(Error::at(at, format!("'{other}' is no pull policy{hint}")))
        }
    }
}
