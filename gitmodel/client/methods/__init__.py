"""The methods of `Client`, in a class for each topic, from which `Client` inherits."""
