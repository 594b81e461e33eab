"""Single images in two classes: audits what gives the classes away, and learns from few labels."""
