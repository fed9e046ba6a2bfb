"""The version of xray_lambda, in the one place that the build and the code both read."""

VERSION = "0.1.0"
