//! Calls of ale-py's C interface, which its wheel exports for XLA.
//!
//! `ale_py._ale_py.VectorXLAStep()` and `VectorXLAReset()` are capsules around functions of XLA's foreign function interface,
//! with the layouts of `xla/ffi/api/c_api.h`.

use a3crs_core::env::EnvError;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyCapsuleMethods};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// `XLA_FFI_CallFrame -> XLA_FFI_Error*`; null is success.
pub type Handler = unsafe extern "C" fn(*mut CallFrame) -> *mut c_void;

/// `XLA_FFI_DataType`
#[derive(Clone, Copy)]
#[repr(C)]
pub enum DataType {
    Pred = 1,
    S32 = 4,
    U8 = 6,
    F32 = 11,
}

/// `XLA_FFI_Buffer`
#[repr(C)]
pub struct Buffer {
    struct_size: usize,
    extension: *const c_void,
    dtype: DataType,
    data: *mut c_void,
    rank: i64,
    dims: *const i64,
}

/// `XLA_FFI_Args` and `XLA_FFI_Rets`
#[repr(C)]
struct Operands {
    struct_size: usize,
    extension: *const c_void,
    size: i64,
    types: *const c_int,
    operands: *const *const Buffer,
}

/// `XLA_FFI_Attrs`
#[repr(C)]
struct Attributes {
    struct_size: usize,
    extension: *const c_void,
    size: i64,
    types: *const c_void,
    names: *const c_void,
    attrs: *const c_void,
}

/// `XLA_FFI_CallFrame`
#[repr(C)]
pub struct CallFrame {
    struct_size: usize,
    extension: *const c_void,
    api: *const Api,
    context: *const c_void,
    stage: c_int,
    args: Operands,
    rets: Operands,
    attrs: Attributes,
    future: *const c_void,
}

/// Beginning of `XLA_FFI_Api`; a handler that refuses its operands creates its error with it.
#[repr(C)]
struct Api {
    struct_size: usize,
    extension: *const c_void,
    version_struct_size: usize,
    version_extension: *const c_void,
    version: [c_int; 2],
    internal: *const c_void,
    error_create: unsafe extern "C" fn(*const ErrorCreate) -> *mut c_void,
}

/// `XLA_FFI_Error_Create_Args`
#[repr(C)]
struct ErrorCreate {
    struct_size: usize,
    extension: *const c_void,
    message: *const c_char,
    code: c_int,
}

/// Returns an address that is not null; the reason of the refusal is not kept.
unsafe extern "C" fn error_create(_: *const ErrorCreate) -> *mut c_void {
    ptr::dangling_mut::<u64>().cast()
}

const STAGE_EXECUTE: c_int = 3;
const OPERAND_BUFFER: c_int = 1;
const MOST_OPERANDS: usize = 9;

/// Operand of the dimensions `dims` whose elements begin at `data`; nothing is read or written before [`call`].
pub fn buffer<T>(dtype: DataType, data: *mut T, dims: &'static [i64]) -> Buffer {
    let rank = dims.len() as i64;
    Buffer {
        struct_size: size_of::<Buffer>(),
        extension: ptr::null(),
        dtype,
        data: data.cast(),
        rank,
        dims: dims.as_ptr(),
    }
}

/// Calls `handler` with the operands `args` and the results `rets`.
///
/// # Safety
/// The handler expects these operands, and each is valid for its dimensions.
pub unsafe fn call(handler: Handler, args: &[Buffer], rets: &[Buffer]) -> Result<(), EnvError> {
    let types = [OPERAND_BUFFER; MOST_OPERANDS];
    let pointers = |buffers: &[Buffer]| {
        let mut pointers = [ptr::null::<Buffer>(); MOST_OPERANDS];
        pointers.iter_mut().zip(buffers).for_each(|(pointer, buffer)| *pointer = buffer);
        pointers
    };
    let operands = |count: usize, pointers: &[*const Buffer; MOST_OPERANDS]| Operands {
        struct_size: size_of::<Operands>(),
        extension: ptr::null(),
        size: count as i64,
        types: types.as_ptr(),
        operands: pointers.as_ptr(),
    };
    let api = Api {
        struct_size: size_of::<Api>(),
        extension: ptr::null(),
        version_struct_size: 24,
        version_extension: ptr::null(),
        version: [0, 1],
        internal: ptr::null(),
        error_create,
    };
    let (arg_pointers, ret_pointers) = (pointers(args), pointers(rets));
    let mut frame = CallFrame {
        struct_size: std::mem::offset_of!(CallFrame, future), // XLA counts to the end of `attrs`
        extension: ptr::null(),
        api: &api,
        context: ptr::null(),
        stage: STAGE_EXECUTE,
        args: operands(args.len(), &arg_pointers),
        rets: operands(rets.len(), &ret_pointers),
        attrs: Attributes {
            struct_size: size_of::<Attributes>(),
            extension: ptr::null(),
            size: 0,
            types: ptr::null(),
            names: ptr::null(),
            attrs: ptr::null(),
        },
        future: ptr::null(),
    };
    // SAFETY: the frame and all it points to outlive the call; the operands are the caller's promise.
    match unsafe { handler(&mut frame) }.is_null() {
        true => Ok(()),
        false => Err("ale-py refused a call through its C interface".into()),
    }
}

/// Returns the function in a capsule of ale-py's.
pub fn handler(capsule: &Bound<'_, PyAny>) -> PyResult<Handler> {
    let capsule = capsule.cast::<PyCapsule>()?;
    // SAFETY: the name lives as long as the capsule, which outlives this call.
    let name = capsule.name()?.map(|name| unsafe { name.as_cstr() });
    let pointer = capsule.pointer_checked(name)?;
    // SAFETY: ale-py puts functions of exactly this type into these capsules (`nb::capsule` of an XLA_FFI_Handler).
    Ok(unsafe { std::mem::transmute::<*mut c_void, Handler>(pointer.as_ptr()) })
}
