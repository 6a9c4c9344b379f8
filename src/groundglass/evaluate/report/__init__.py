"""What an evaluation is written as: JSON, tables and pictures, and a bundle's model card."""
