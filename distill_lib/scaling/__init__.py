"""The scaling wing: laws, counting, fitting and planning with numpy and scipy; never torch."""
