"""World models: predict the latent of what comes next."""
