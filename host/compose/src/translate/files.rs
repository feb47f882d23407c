//! Secrets and configs of a project: where their content is.
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Context;
use crate::model::{At, FileModel};
use crate::place::{Error, Result};
use crate::project::{Content, ProjectFile};

impl Context<'_> {
    pub(super) fn files(&mut self, declared: &BTreeMap<String, At<FileModel>>, noun: &str) -> Result<Vec<ProjectFile>> {
        declared.iter().map(|(key, model)| self.file(key, model, noun)).collect()
    }

    fn file(&mut self, key: &str, declared: &At<FileModel>, noun: &str) -> Result<ProjectFile> {
        let At { value: model, at } = declared;
        let external = model.external.external;
        let name = model.name.clone().or_else(|| model.external.name.clone().map(|value| At { value, at: at.clone() }));
        let name = self.declared_name(key, name.as_ref(), external, at, noun)?;
        let content = match (&model.file, &model.environment, &model.content) {
            (None, None, None) if external => None,
            (Some(file), None, None) if !external => {
                let path = PathBuf::from(&file.value);
                if !self.files.is_file(&path) {
                    return Err(Error::at(&file.at, format!("there is no file {}", path.display())));
                }
                Some(Content::File(path))
            }
            (None, Some(variable), None) if !external => match self.lookup(&variable.value) {
                Some(value) => Some(Content::Text(value)),
                None => return Err(Error::at(&variable.at, format!("the variable {} is not set", variable.value))),
            },
            (None, None, Some(content)) if !external => Some(Content::Text(content.value.clone())),
            (None, None, None) => {
                return Err(Error::at(
                    at,
                    format!("{noun} '{key}' has no content; give it file, environment or content, or external: true"),
                ));
            }
            _ => {
                return Err(Error::at(
                    at,
                    format!("{noun} '{key}' has several contents; give one of file, environment, content and external"),
                ));
            }
        };
        Ok(ProjectFile { key: key.to_owned(), name, content, labels: self.labels(&model.labels, noun, key), at: at.clone() })
    }
}
