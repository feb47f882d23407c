//! Compose files: from the text of one or several files to services, networks and volumes in minicloud's words.
//!
//! Pure: files, environment and folders come through [`Files`] and [`Request`]. It parses with `saphyr-parser`, keeps
//! the place of every value through interpolation, `extends`, `include` and merging, and so can say of each mistake
//! where it stands. Called by `compose` and `stack` of the command line.
mod place;
mod tree;

mod canonical;
mod de;
mod dotenv;
mod emit;
mod files;
mod interpolate;
mod meaningless;
mod merge;
mod parse;
mod paths;
mod suggest;
mod unique;

mod health;
mod load;
pub mod model;
mod order;
mod project;
mod translate;

pub use dotenv::parse as parse_env_file;
pub use emit::yaml;
pub use files::{Discovery, Files, discover};
pub use health::{Health, Probe};
pub use load::{Loaded, Request, load};
pub use order::start_order;
pub use place::{Error, Place, Result, Warning};
pub use project::{
    Build, Condition, Content, Dependency, FileMount, Flavour, Mode, MountSource, NetworkRef, Project, ProjectFile, ProjectNetwork,
    ProjectVolume, Pull, Service, Source, Update, VolumeMount,
};
pub use suggest::nearest;
pub use translate::{Wanted, translate};
pub use tree::Node;
