//! Files of the volume at /data, through streams.

use crate::run::Outcome;
use guest_common::log;
use wasip3::filesystem::preopens::get_directories;
use wasip3::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip3::wit_bindgen::StreamResult;
use wasip3::wit_stream;

const READ_BYTES: usize = 100_000;

/// Copies a file piece by piece.
pub async fn copy(from: &str, to: &str) -> Outcome {
    let source = open(from, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let target = open(to, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (mut reader, read) = source.read_via_stream(0);
    let (mut writer, data) = wit_stream::new();
    let written = target.write_via_stream(data, 0);
    let (mut buffer, mut total) = (Vec::with_capacity(READ_BYTES), 0);
    loop {
        let (result, piece) = reader.read(buffer).await;
        total += piece.len();
        buffer = writer.write_all(piece).await;
        if !buffer.is_empty() || result == StreamResult::Dropped {
            break;
        }
    }
    drop(writer);
    written.await?;
    read.await?;
    log::line(format_args!("copied {total} bytes"));
    Ok(())
}

/// Appends a file to another one, and sees nothing of it.
pub async fn append(from: &str, to: &str) -> Outcome {
    let source = open(from, OpenFlags::empty(), DescriptorFlags::READ).await?;
    let target = open(to, OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (reader, read) = source.read_via_stream(0);
    target.append_via_stream(reader).await?;
    read.await?;
    log::line("appended");
    Ok(())
}

async fn open(path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Box<dyn std::error::Error>> {
    let (volume, _) = get_directories().into_iter().find(|(_, path)| path == "/data").ok_or("there is no volume at /data")?;
    Ok(volume.open_at(PathFlags::empty(), path.to_owned(), how, flags).await?)
}
