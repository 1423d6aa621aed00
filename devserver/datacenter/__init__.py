"""A plugin in a JAR: its project, its way into a product, and the product it is for."""
