//! Serving certificates and their CA, rotated without a failed call.
