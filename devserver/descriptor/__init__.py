"""What a descriptor is and what is wrong with it: values in, values out, no I/O."""
