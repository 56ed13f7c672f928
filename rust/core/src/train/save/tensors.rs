//! Named arrays in a safetensors file, with a checksum over all of it: a flipped bit is found wherever it is.

use crc32fast::Hasher;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;

/// The key of the checksum in the file's metadata, in hexadecimal.
const CHECKSUM: &str = "a3crs.crc32";

/// Element type of tensors.
pub trait Element: Copy {
    /// Type in safetensors' terms.
    const DTYPE: Dtype;
    /// Appends the bytes of `values`, little-endian.
    fn write(values: &[Self], bytes: &mut Vec<u8>);
    /// The values in `bytes`.
    fn read(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! element {
    ($type:ty, $dtype:expr) => {
        impl Element for $type {
            const DTYPE: Dtype = $dtype;
            fn write(values: &[Self], bytes: &mut Vec<u8>) {
                bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            }
            fn read(bytes: &[u8]) -> Vec<Self> {
                bytes.as_chunks().0.iter().map(|b| Self::from_le_bytes(*b)).collect()
            }
        }
    };
}
element!(u8, Dtype::U8);
element!(u64, Dtype::U64);
element!(f32, Dtype::F32);
element!(f64, Dtype::F64);

/// Tensors of a file that is being made.
#[derive(Default)]
pub struct Writer(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Writer {
    /// Adds a tensor.
    pub fn add<T: Element>(&mut self, name: String, shape: &[usize], values: &[T]) {
        let mut bytes = Vec::new();
        T::write(values, &mut bytes);
        self.0.push((name, T::DTYPE, shape.to_vec(), bytes));
    }

    /// The file, with `meta` under `key` in its metadata.
    pub fn into_bytes(self, key: &str, meta: String) -> Result<Vec<u8>, String> {
        let mut views = Vec::with_capacity(self.0.len());
        for (name, dtype, shape, bytes) in &self.0 {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| e.to_string())?;
            views.push((name.clone(), view));
        }
        let sum = format!("{:08x}", checksum(&meta, &views));
        let metadata = HashMap::from([(key.to_owned(), meta), (CHECKSUM.to_owned(), sum)]);
        safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())
    }
}

/// Over the metadata, and of every tensor, in the order of names, what it is called, its shape and its bytes.
fn checksum(meta: &str, tensors: &[(String, TensorView<'_>)]) -> u32 {
    let mut tensors: Vec<_> = tensors.iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sum = Hasher::new();
    sum.update(meta.as_bytes());
    for (name, view) in tensors {
        sum.update(format!("\n{name} {:?} {:?}\n", view.dtype(), view.shape()).as_bytes());
        sum.update(view.data());
    }
    sum.finalize()
}

/// Tensors of a file that was read.
pub struct Reader<'a>(SafeTensors<'a>);

impl<'a> Reader<'a> {
    /// The tensors of the file with these `bytes` and `meta`; `has_checksum` where it was written with one.
    pub fn new(bytes: &'a [u8], meta: &str, has_checksum: bool) -> Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        if has_checksum {
            let kept = metadata(bytes, CHECKSUM)?.unwrap_or_default();
            let sum = format!("{:08x}", checksum(meta, &file.tensors()));
            if kept != sum {
                return Err(damaged(format!("its checksum is {sum}, not {kept}")));
            }
        }
        Ok(Reader(file))
    }

    /// Names of the tensors.
    pub fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    /// True if there is such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    /// A tensor of this `shape`; a length of `usize::MAX` is any.
    pub fn get<T: Element>(&self, name: &str, shape: &[usize]) -> Result<Vec<T>, String> {
        let tensor = self.0.tensor(name).map_err(|_| format!("it has no tensor {name}: another network or method"))?;
        let fits = tensor.shape().len() == shape.len()
            && tensor.shape().iter().zip(shape).all(|(is, want)| is == want || *want == usize::MAX);
        if !fits || tensor.dtype() != T::DTYPE {
            return Err(format!(
                "its tensor {name} is {:?} {:?}, this run needs {:?} {shape:?}",
                tensor.dtype(),
                tensor.shape(),
                T::DTYPE
            ));
        }
        Ok(T::read(tensor.data()))
    }
}

/// The sentence for a file that is not what it was.
pub fn damaged(error: impl std::fmt::Display) -> String {
    format!("the file is damaged or not a checkpoint ({error})")
}

/// The text under `key` in the metadata of a file.
pub fn metadata(bytes: &[u8], key: &str) -> Result<Option<String>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(key)).cloned())
}
